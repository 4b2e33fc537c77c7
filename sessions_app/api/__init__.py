"""The REST API: endpoints that parse, call one verb and render; and the document that describes them."""
