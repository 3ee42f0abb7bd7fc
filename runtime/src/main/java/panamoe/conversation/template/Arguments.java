package panamoe.conversation.template;

import java.util.Arrays;
import java.util.List;
import java.util.Map;

/** The arguments of a function, a filter or a test. */
record Arguments(List<Object> positional, Map<String, Object> named) {
  static final Arguments NONE = new Arguments(List.of(), Map.of());

  /**
   * The arguments in the order of {@code parameters}; null for missing ones.
   *
   * @throws TemplateException if there are further arguments
   */
  Object[] bind(String... parameters) {
    if (positional.size() > parameters.length) {
      throw new TemplateException(
          "there are " + positional.size() + " arguments, expected at most " + parameters.length);
    }
    Object[] bound = positional.toArray(new Object[parameters.length]);
    Arrays.fill(bound, positional.size(), bound.length, null);
    named.forEach(
        (name, value) -> {
          int at = Arrays.asList(parameters).indexOf(name);
          if (at < 0 || bound[at] != null) {
            throw new TemplateException(
                at < 0
                    ? "there is no argument " + name
                    : "the argument " + name + " is there twice");
          }
          bound[at] = value;
        });
    return bound;
  }

  Object one(String parameter) {
    return required(bind(parameter)[0], parameter);
  }

  static Object required(Object value, String parameter) {
    if (value == null) {
      throw new TemplateException("the argument " + parameter + " is missing");
    }
    return value;
  }

  /** The arguments after the first {@code count}. */
  Arguments after(int count) {
    return new Arguments(positional.subList(count, positional.size()), named);
  }
}
