package panamoe.conversation.template;

import java.util.List;

/** The variable {@code loop}. */
final class Loop {
  private final List<Object> elements;
  private final RenderLimits budget;
  private int index;
  private Object last;

  Loop(List<Object> elements, RenderLimits budget) {
    this.elements = elements;
    this.budget = budget;
  }

  void at(int element) {
    index = element;
  }

  /** The value of an attribute; null if loops do not have it. */
  Object attribute(String name) {
    int size = elements.size();
    return switch (name) {
      case "index" -> index + 1L;
      case "index0" -> (long) index;
      case "revindex" -> (long) size - index;
      case "revindex0" -> size - index - 1L;
      case "first" -> index == 0;
      case "last" -> index == size - 1;
      case "length" -> (long) size;
      case "depth" -> 1L; // recursive loops are not supported
      case "depth0" -> 0L;
      case "previtem" ->
          index == 0 ? new Undefined("there is no previous item") : elements.get(index - 1);
      case "nextitem" ->
          index == size - 1 ? new Undefined("there is no next item") : elements.get(index + 1);
      case "cycle" -> (Function) this::cycle;
      case "changed" -> (Function) this::changed;
      default -> null;
    };
  }

  private Object cycle(Arguments arguments) {
    List<Object> items = arguments.positional();
    if (items.isEmpty()) {
      throw new TemplateException("loop.cycle has no items");
    }
    return items.get(index % items.size());
  }

  private Object changed(Arguments arguments) {
    boolean changed = last == null || !JinjaValues.equal(last, arguments.positional(), budget);
    last = arguments.positional();
    return changed;
  }
}
