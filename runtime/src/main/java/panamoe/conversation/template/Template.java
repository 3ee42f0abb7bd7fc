package panamoe.conversation.template;

import java.time.LocalDateTime;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * A template in the subset of Jinja that chat templates use, with the functions that transformers
 * adds. Immutable and thread-safe.
 */
record Template(String source, List<Statement> statements) {
  /** Maximum length of a template in characters. */
  static final int MOST_LENGTH = 1 << 20;

  /** Maximum length of a {@code range}. */
  private static final long MOST_RANGE = 100_000;

  /**
   * @throws TemplateException if the source is malformed, with its line, or too long
   */
  static Template parse(String source) {
    if (source.length() > MOST_LENGTH) {
      throw new TemplateException(
          "the template has %s characters, but at most %s are read", source.length(), MOST_LENGTH);
    }
    return new Template(source, StatementParser.parse(source));
  }

  /**
   * @param variables by name
   * @param now the time for {@code strftime_now}
   * @throws TemplateException if the template fails, or refuses the variables
   */
  Text render(Map<String, Object> variables, LocalDateTime now) {
    RenderLimits budget = new RenderLimits();
    Scope scope = new Scope(budget);
    scope.set("raise_exception", (Function) Template::refuse);
    scope.set("namespace", (Function) Template::namespace);
    scope.set("dict", (Function) Template::mapping);
    scope.set("range", (Function) arguments -> range(arguments, budget));
    scope.set(
        "strftime_now",
        (Function)
            arguments ->
                Text.of(Strftime.format(JinjaValues.text(arguments.one("format")).chars(), now)));
    variables.forEach(scope::set);
    return Statement.text(statements, scope);
  }

  private static Object refuse(Arguments arguments) {
    throw TemplateException.refusal(PythonText.str(arguments.one("message")).chars());
  }

  private static Object namespace(Arguments arguments) {
    NamespaceObject namespace = new NamespaceObject();
    for (Object given : arguments.positional()) {
      if (!(given instanceof Map<?, ?> map)) {
        throw new TemplateException(
            "a namespace is made of names, not of " + JinjaValues.type(given));
      }
      map.forEach((key, value) -> namespace.values().put(JinjaValues.text(key).chars(), value));
    }
    namespace.values().putAll(arguments.named());
    return namespace;
  }

  private static Object mapping(Arguments arguments) {
    Map<Object, Object> mapping = new LinkedHashMap<>();
    for (Object given : arguments.positional()) {
      if (!(given instanceof Map<?, ?> map)) {
        throw new TemplateException("dict is made of a mapping, not of " + JinjaValues.type(given));
      }
      mapping.putAll(map);
    }
    arguments.named().forEach((name, value) -> mapping.put(Text.of(name), value));
    return mapping;
  }

  private static Object range(Arguments arguments, RenderLimits budget) {
    Object[] bound = arguments.bind("start", "stop", "step");
    long first = JinjaValues.whole(Arguments.required(bound[0], "stop"));
    long from = bound[1] == null ? 0 : first;
    long to = bound[1] == null ? first : JinjaValues.whole(bound[1]);
    int step = bound[2] == null ? 1 : JinjaValues.count(bound[2]);
    if (step == 0) {
      throw new TemplateException("range's step cannot be zero");
    }
    List<Object> range = new ArrayList<>();
    for (long at = from; step > 0 ? at < to : at > to; at += step) {
      if (range.size() == MOST_RANGE || Math.abs(at) > Long.MAX_VALUE / 2) {
        throw new TemplateException(
            "a range has more than " + MOST_RANGE + " numbers, or huge ones");
      }
      range.add(at);
    }
    budget.spend(range.size());
    return range;
  }
}
