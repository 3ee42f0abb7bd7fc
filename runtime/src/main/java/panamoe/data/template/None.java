package panamoe.data.template;

/** The value {@code none}. */
enum None {
  NONE
}
