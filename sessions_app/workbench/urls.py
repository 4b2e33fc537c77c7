"""The addresses of the desk, the try-it page, the invitations and the design page: a list each, for config/urls.py."""

from __future__ import annotations

from django.urls import path

from sessions_app.workbench import attachments, command_bar, customer, drafts, fragments, guest, saved_items, views
from sessions_app.workbench.design import views as design_views

desk = [
    path("", views.desk, name="desk"),
    path("list/", views.rows, name="desk-list"),
    path("here/", views.here, name="desk-here"),
    path("presence/", views.declare, name="desk-presence"),
    path("bulk/", saved_items.bulk, name="desk-bulk"),
    path("command/", command_bar.results, name="desk-command"),
    path("colleagues/", saved_items.colleagues, name="desk-colleagues"),
    path("replies/", saved_items.own_replies, name="desk-own-replies"),
    path("replies/<int:reply_id>/", saved_items.change_reply, name="desk-change-reply"),
    path("replies/<int:reply_id>/delete/", saved_items.delete_reply, name="desk-delete-reply"),
    path("views/", saved_items.save_view, name="desk-save-view"),
    path("views/<int:view_id>/delete/", saved_items.delete_view, name="desk-delete-view"),
    path("c/<int:conversation_id>/", views.conversation, name="conversation"),
    path("c/<int:conversation_id>/news/", views.news, name="conversation-news"),
    path("c/<int:conversation_id>/say/", views.say, name="conversation-say"),
    path("c/<int:conversation_id>/read/", views.read, name="conversation-read"),
    path("c/<int:conversation_id>/draft/", drafts.save, name="conversation-draft"),
    path("c/<int:conversation_id>/replies/", saved_items.replies, name="conversation-replies"),
    path("c/<int:conversation_id>/timeline/", fragments.timeline, name="conversation-timeline"),
    path("c/<int:conversation_id>/past/", fragments.past, name="conversation-past"),
    path("c/<int:conversation_id>/recipients/", fragments.recipients, name="conversation-recipients"),
    path("c/<int:conversation_id>/attach/", attachments.attach, name="conversation-attach"),
    path("files/<int:attachment_id>/", attachments.content, name="desk-file"),
    path("files/<int:attachment_id>/preview/", attachments.preview, name="desk-file-preview"),
    path("files/<int:attachment_id>/discard/", attachments.discard, name="desk-file-discard"),
    # Last: the slug would match the other addresses of a conversation.
    path("c/<int:conversation_id>/<slug:verb>/", views.act, name="conversation-act"),
]
try_it = [
    path("", customer.try_it, name="try-it"),
    path("news/", customer.news, name="try-it-news"),
    path("say/", customer.say, name="try-it-say"),
    path("again/", customer.again, name="try-it-again"),
    path("attach/", customer.attach, name="try-it-attach"),
    path("files/<int:attachment_id>/", customer.content, name="try-it-file"),
    path("files/<int:attachment_id>/preview/", customer.preview, name="try-it-file-preview"),
    path("files/<int:attachment_id>/discard/", customer.discard, name="try-it-file-discard"),
]
join = [
    path("", guest.join, name="join"),
    path("<str:token>", guest.invitation, name="invitation"),
]
joined = [
    path("<int:participant_id>/", guest.chat, name="joined"),
    path("<int:participant_id>/news/", guest.news, name="joined-news"),
    path("<int:participant_id>/say/", guest.say, name="joined-say"),
    path("<int:participant_id>/leave/", guest.leave, name="joined-leave"),
    path("<int:participant_id>/attach/", guest.attach, name="joined-attach"),
    path("<int:participant_id>/files/<int:attachment_id>/", guest.content, name="joined-file"),
    path("<int:participant_id>/files/<int:attachment_id>/preview/", guest.preview, name="joined-file-preview"),
    path("<int:participant_id>/files/<int:attachment_id>/discard/", guest.discard, name="joined-file-discard"),
]
design = [
    path("", design_views.design, name="design"),
    path("<slug:component>/<slug:state>/", design_views.specimen, name="design-specimen"),
]
