package panamoe.conversation.template;

import java.util.List;
import java.util.Map;

/**
 * What one rendering may still do. A template is untrusted: without bounds it could loop for ever,
 * fill the memory or the stack.
 */
final class RenderLimits {
  /** Most steps: nodes that are computed, elements of lists, and groups of characters. */
  static final long MOST_STEPS = 10_000_000;

  /** Most macros that are called within each other. */
  static final int MOST_CALLS = 100;

  /** Most nodes that are computed within each other: these take half of a stack of 1 MiB. */
  static final int MOST_DEPTH = 500;

  /** Most lists and mappings within each other that are printed or compared. */
  static final int MOST_NESTED = 100;

  /** Characters that are copied or read in a step, and pairs of them that a search compares. */
  private static final int CHARS = 32;

  private static final int PAIRS = 1024;

  /** Steps of a new text, which takes some 100 bytes. */
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

  /** Texts that become the elements of a new list. */
  void spendOnTexts(int count) {
    spend((long) TEXT * count);
  }

  /** A value that is made, or read whole: its elements or characters. */
  Object spendOn(Object value) {
    switch (value) {
      case Text text -> spend(text.length() / CHARS);
      case List<?> list -> spend(list.size());
      case Map<?, ?> map -> spend(map.size());
      default -> {}
    }
    return value;
  }

  /** The first place of {@code sought} in {@code text} from {@code from}; -1 without one. */
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
