/** Language models that write text. */
module panamoe.text {
  requires com.fasterxml.jackson.databind;
  requires transitive panamoe.api;
  requires panamoe.runtime;

  exports panamoe.text;
}
