package panamoe.conversation.template;

/**
 * The value of an undefined name: falsy, empty and printed as nothing. Computing with it fails.
 *
 * @param why the error's sentence
 */
record Undefined(String why) {
  TemplateException error() {
    return new TemplateException(why);
  }
}
