package panamoe.harness.help;

import java.lang.annotation.Retention;
import java.lang.annotation.RetentionPolicy;

/** A mixin whose options form a group in a command's help. */
@Retention(RetentionPolicy.RUNTIME)
public @interface OptionGroup {
  /** The heading of the group, such as {@code Ranks}. */
  String value();
}
