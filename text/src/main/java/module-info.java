/** Text generation with language models. */
module panamoe.text {
  requires com.fasterxml.jackson.databind;
  requires transitive panamoe.api;
  requires panamoe.runtime;

  exports panamoe.text;
}
