package panamoe.conversation.template;

/** A callable: a macro, a method or a global function. */
@FunctionalInterface
interface Function {
  Object call(Arguments arguments);
}
