package panamoe.conversation.template;

import java.util.List;
import java.util.Map;

/**
 * The remaining budget of a rendering. A template is untrusted: without limits it could loop for
 * ever, or fill the memory or the stack.
 */
final class RenderLimits {
  /** Maximum of steps: evaluated nodes, list elements, and groups of characters. */
  static final long MOST_STEPS = 10_000_000;

  /** Maximum depth of macro calls. */
  static final int MOST_CALLS = 100;

  /** Maximum depth of evaluated nodes: these take half of a stack of 1 MiB. */
  static final int MOST_DEPTH = 500;

  /** Maximum depth of lists and mappings that are printed or compared. */
  static final int MOST_NESTED = 100;

  /** Characters that one step copies or reads, or pairs that a search compares. */
  private static final int CHARS = 32;

  private static final int PAIRS = 1024;

  /** Steps for a new string, which takes about 100 bytes. */
  private static final int TEXT = 8;

  private long steps;
  private int calls;
  private int depth;

  void spend(long count) {
    steps += count;
    if (steps > MOST_STEPS) {
      throw new TemplateException("the template takes more than 10 million steps");
    }
  }

  /** Charges strings that become the elements of a new list. */
  void spendOnTexts(int count) {
    spend((long) TEXT * count);
  }

  /** Charges a value that is created or read completely, by its elements or characters. */
  Object spendOn(Object value) {
    switch (value) {
      case Text text -> spend(text.length() / CHARS);
      case List<?> list -> spend(list.size());
      case Map<?, ?> map -> spend(map.size());
      default -> {}
    }
    return value;
  }

  /** The first index of {@code sought} in {@code text} from {@code from}; -1 if it is absent. */
  int find(Text text, Text sought, int from) {
    spend(1 + (long) (text.length() - from) * sought.length() / PAIRS);
    return text.chars().indexOf(sought.chars(), from);
  }

  void enter() {
    spend(1);
    if (++depth > MOST_DEPTH) {
      throw new TemplateException("more than " + MOST_DEPTH + " parts lie within each other");
    }
  }

  void leave() {
    depth--;
  }

  void enterCall() {
    if (++calls > MOST_CALLS) {
      throw new TemplateException("more than " + MOST_CALLS + " macros call each other");
    }
  }

  void leaveCall() {
    calls--;
  }
}
