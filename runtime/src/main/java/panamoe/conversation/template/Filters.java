package panamoe.conversation.template;

import java.util.HashMap;
import java.util.Map;

/** The filters of {@code value | NAME}, by name. */
final class Filters {
  @FunctionalInterface
  interface Filter {
    Object of(Object value, Arguments arguments, RenderLimits budget);
  }

  private static final Map<String, Filter> BY_NAME = new HashMap<>();

  static {
    BY_NAME.putAll(TextFilters.BY_NAME);
    BY_NAME.putAll(ListFilters.BY_NAME);
    BY_NAME.putAll(NumberFilters.BY_NAME);
    BY_NAME.put("default", Filters::otherwise);
    BY_NAME.put("d", Filters::otherwise);
    BY_NAME.put("tojson", JsonText::of);
    BY_NAME.put(
        "attr",
        (value, arguments, budget) -> {
          Text name = JinjaValues.text(arguments.one("name"));
          return value instanceof Map<?, ?> map && map.containsKey(name)
              ? new Undefined("'dict object' has no attribute " + PythonText.repr(name))
              : Attributes.attribute(value, name.chars(), budget);
        });
  }

  private Filters() {}

  static boolean exists(String name) {
    return BY_NAME.containsKey(name);
  }

  /**
   * @throws TemplateException if there is no such filter
   */
  static Object apply(String name, Object value, Arguments arguments, RenderLimits budget) {
    Filter filter = BY_NAME.get(name);
    if (filter == null) {
      throw new TemplateException("there is no filter '" + name + "'");
    }
    budget.spendOn(value);
    return budget.spendOn(filter.of(value, arguments, budget));
  }

  private static Object otherwise(Object value, Arguments arguments, RenderLimits budget) {
    Object[] bound = arguments.bind("default_value", "boolean");
    boolean alsoFalse = JinjaValues.truth(bound[1]);
    boolean kept = alsoFalse ? JinjaValues.truth(value) : !(value instanceof Undefined);
    return kept ? value : bound[0] == null ? Text.EMPTY : bound[0];
  }
}
