// The API's document to read and to try: Swagger UI, light or dark as the reader has it, with the CSRF token of
// the login on every request that writes.

const place = document.getElementById("swagger");
const dark = matchMedia("(prefers-color-scheme: dark)");
const writes = new Set(["POST", "PUT", "PATCH", "DELETE"]);

function follow() {
  document.documentElement.classList.toggle("dark-mode", dark.matches);
}

dark.addEventListener("change", follow);
follow();

window.SwaggerUIBundle({
  url: place.dataset.document,
  domNode: place,
  presets: [window.SwaggerUIBundle.presets.apis],
  layout: "BaseLayout",
  deepLinking: true,
  displayRequestDuration: true,
  docExpansion: "list",
  defaultModelsExpandDepth: -1,
  syntaxHighlight: { theme: dark.matches ? "agate" : "idea" },
  requestInterceptor: (request) => {
    if (writes.has(request.method)) request.headers["X-CSRFToken"] = place.dataset.csrfToken;
    return request;
  },
});
