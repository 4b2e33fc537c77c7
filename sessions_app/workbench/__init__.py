"""The desk: server-rendered pages for agents, and the try-it page that plays the customer's side."""
