package panamoe.conversation.template;

/** The value {@code none}. */
enum None {
  NONE
}
