package panamoe.harness.help;

import java.lang.annotation.Retention;
import java.lang.annotation.RetentionPolicy;

/** A mixin whose options stand together in a command's help. */
@Retention(RetentionPolicy.RUNTIME)
public @interface OptionGroup {
  /** What its options are about, such as {@code Ranks}. */
  String value();
}
