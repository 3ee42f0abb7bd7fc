/** Language models that write text. */
module panamoe.text {
  requires transitive panamoe.api;
  requires panamoe.runtime;

  exports panamoe.text;
}
