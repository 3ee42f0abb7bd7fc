/** Mixture-of-Experts layers and models for other programs, on their own memory. */
@SuppressWarnings("module") // compiled before the module that it names
module panamoe.api {
  requires static tools.jackson.databind; // for files and JSON
  requires panamoe.bindings;
  requires panamoe.runtime;

  exports panamoe.api;
  exports panamoe.api.internal to
      panamoe.text;
}
