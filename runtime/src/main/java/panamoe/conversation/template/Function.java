package panamoe.conversation.template;

/** What can be called: a macro, a method, a function of every template. */
@FunctionalInterface
interface Function {
  Object call(Arguments arguments);
}
