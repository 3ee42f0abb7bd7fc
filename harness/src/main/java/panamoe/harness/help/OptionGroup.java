package panamoe.harness.help;

/** A mixin whose options stand together in a command's help. */
@FunctionalInterface
public interface OptionGroup {
  /** What its options are about, such as {@code Ranks}. */
  String heading();
}
