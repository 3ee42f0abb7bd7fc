/** Language models that write text. */
module panamoe.text {
  requires tools.jackson.databind;
  requires transitive panamoe.api;
  requires panamoe.runtime;

  exports panamoe.text;
}
