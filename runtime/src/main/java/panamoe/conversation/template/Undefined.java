package panamoe.conversation.template;

/**
 * The value of what is not there: it is false, empty and printed as nothing, but nothing can be
 * computed with it.
 *
 * @param why the sentence that an error says
 */
record Undefined(String why) {
  TemplateException error() {
    return new TemplateException(why);
  }
}
