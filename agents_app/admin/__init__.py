"""The admin of people and programs: one module a noun, each built on `base`. Importing it registers them all."""

from agents_app.admin import agents, clients, departments, loops, service_hours, teams, tenants, users

__all__ = ["agents", "clients", "departments", "loops", "service_hours", "teams", "tenants", "users"]
