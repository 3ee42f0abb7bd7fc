package panamoe.conversation.template;

import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.function.Predicate;
import java.util.function.UnaryOperator;
import java.util.stream.Stream;

final class ListFilters {
  static final Map<String, Filters.Filter> BY_NAME =
      Map.ofEntries(
          Map.entry("length", (value, _, _) -> JinjaValues.length(value)),
          Map.entry("count", (value, _, _) -> JinjaValues.length(value)),
          Map.entry(
              "list", (value, _, budget) -> new ArrayList<>(JinjaValues.elements(value, budget))),
          Map.entry("first", (value, _, budget) -> end(value, true, budget)),
          Map.entry("last", (value, _, budget) -> end(value, false, budget)),
          Map.entry("items", (value, _, budget) -> items(value, budget)),
          Map.entry("reverse", ListFilters::reverse),
          Map.entry("join", ListFilters::join),
          Map.entry("sort", ListFilters::sort),
          Map.entry("dictsort", ListFilters::dictsort),
          Map.entry("unique", ListFilters::unique),
          Map.entry("min", (value, arguments, budget) -> extreme(value, arguments, -1, budget)),
          Map.entry("max", (value, arguments, budget) -> extreme(value, arguments, 1, budget)),
          Map.entry("sum", ListFilters::sum),
          Map.entry("map", ListFilters::map),
          Map.entry("select", (value, args, budget) -> select(value, args, false, true, budget)),
          Map.entry("reject", (value, args, budget) -> select(value, args, false, false, budget)),
          Map.entry("selectattr", (value, args, budget) -> select(value, args, true, true, budget)),
          Map.entry(
              "rejectattr", (value, args, budget) -> select(value, args, true, false, budget)),
          Map.entry("groupby", ListFilters::groupby),
          Map.entry("batch", ListFilters::batch));

  private ListFilters() {}

  private static Object end(Object value, boolean first, RenderLimits budget) {
    List<Object> elements = JinjaValues.elements(value, budget);
    return elements.isEmpty()
        ? new Undefined(
            "there is no " + (first ? "first" : "last") + " item, the sequence is empty")
        : first ? elements.getFirst() : elements.getLast();
  }

  private static List<Object> items(Object value, RenderLimits budget) {
    return switch (value) {
      case Undefined _ -> List.of();
      case Map<?, ?> map -> Attributes.items(map, budget);
      default ->
          throw new TemplateException("only a mapping has items, not " + JinjaValues.type(value));
    };
  }

  private static Object reverse(Object value, Arguments arguments, RenderLimits budget) {
    List<Object> reversed = new ArrayList<>(JinjaValues.elements(value, budget));
    Collections.reverse(reversed);
    return value instanceof Text ? TextMethods.join(Text.EMPTY, reversed, budget) : reversed;
  }

  private static Object join(Object value, Arguments arguments, RenderLimits budget) {
    Object[] bound = arguments.bind("d", "attribute");
    Text separator = bound[0] == null ? Text.EMPTY : PythonText.str(bound[0]);
    UnaryOperator<Object> attribute = attribute(bound[1], null, budget);
    List<Text> printed =
        JinjaValues.elements(value, budget).stream().map(attribute).map(PythonText::str).toList();
    return TextMethods.join(separator, printed, budget);
  }

  /**
   * Reads an attribute of each element, such as {@code a.b}.
   *
   * @param path null or none for the element itself
   * @param otherwise replaces undefined values; null to keep them
   */
  private static UnaryOperator<Object> attribute(
      Object path, Object otherwise, RenderLimits budget) {
    if (path == null || path == None.NONE) {
      return element -> element;
    }
    String[] names = PythonText.str(path).chars().split("\\.", -1);
    return element -> {
      Object value = element;
      for (String name : names) {
        budget.spend(1);
        Object index = name.matches("\\d{1,9}") ? (Object) Long.valueOf(name) : Text.of(name);
        value = Attributes.item(value, index, budget);
        if (value instanceof Undefined && otherwise != null) {
          value = otherwise;
        }
      }
      return value;
    };
  }

  private static Object folded(Object value, Object caseSensitive) {
    boolean folds = !JinjaValues.truth(caseSensitive);
    return folds && value instanceof Text text
        ? text.map(part -> part.toLowerCase(Locale.ROOT))
        : value;
  }

  private static List<Object> sorted(
      List<Object> elements, UnaryOperator<Object> key, boolean reverse, RenderLimits budget) {
    Comparator<Object[]> order =
        (a, b) -> {
          budget.spend(1);
          return JinjaValues.compare(a[0], b[0], budget);
        };
    try {
      return elements.stream()
          .map(element -> new Object[] {key.apply(element), element})
          .sorted(reverse ? order.reversed() : order)
          .map(pair -> pair[1])
          .toList();
    } catch (IllegalArgumentException _) { // NaN compares as equal to every number
      throw new TemplateException("the values have no common order");
    }
  }

  private static Object sort(Object value, Arguments arguments, RenderLimits budget) {
    Object[] bound = arguments.bind("reverse", "case_sensitive", "attribute");
    List<UnaryOperator<Object>> attributes = new ArrayList<>();
    for (String one :
        bound[2] == null ? new String[1] : PythonText.str(bound[2]).chars().split(",")) {
      attributes.add(attribute(one == null ? null : Text.of(one), null, budget));
    }
    return sorted(
        JinjaValues.elements(value, budget),
        element ->
            attributes.size() == 1
                ? folded(attributes.getFirst().apply(element), bound[1])
                : attributes.stream().map(each -> folded(each.apply(element), bound[1])).toList(),
        JinjaValues.truth(bound[0]),
        budget);
  }

  private static Object dictsort(Object value, Arguments arguments, RenderLimits budget) {
    Object[] bound = arguments.bind("case_sensitive", "by", "reverse");
    int by = bound[1] != null && PythonText.str(bound[1]).chars().equals("value") ? 1 : 0;
    return sorted(
        items(value, budget),
        pair -> folded(((Tuple) pair).get(by), bound[0]),
        JinjaValues.truth(bound[2]),
        budget);
  }

  private static Object unique(Object value, Arguments arguments, RenderLimits budget) {
    Object[] bound = arguments.bind("case_sensitive", "attribute");
    UnaryOperator<Object> attribute = attribute(bound[1], null, budget);
    List<Object> seen = new ArrayList<>();
    List<Object> unique = new ArrayList<>();
    for (Object element : JinjaValues.elements(value, budget)) {
      Object key = folded(attribute.apply(element), bound[0]);
      if (!JinjaValues.contains(seen, key, budget)) {
        seen.add(key);
        unique.add(element);
      }
    }
    return unique;
  }

  private static Object extreme(Object value, Arguments arguments, int sign, RenderLimits budget) {
    Object[] bound = arguments.bind("case_sensitive", "attribute");
    UnaryOperator<Object> attribute = attribute(bound[1], null, budget);
    Object best = null;
    Object bestKey = null;
    for (Object element : JinjaValues.elements(value, budget)) {
      budget.spend(1);
      Object key = folded(attribute.apply(element), bound[0]);
      if (best == null || Integer.signum(JinjaValues.compare(key, bestKey, budget)) == sign) {
        best = element;
        bestKey = key;
      }
    }
    return best == null ? new Undefined("there is no item, the sequence is empty") : best;
  }

  private static Object sum(Object value, Arguments arguments, RenderLimits budget) {
    Object[] bound = arguments.bind("attribute", "start");
    UnaryOperator<Object> attribute = attribute(bound[0], null, budget);
    Object sum = bound[1] == null ? (Object) 0L : bound[1];
    for (Object element : JinjaValues.elements(value, budget)) {
      budget.spend(1);
      sum = budget.spendOn(Arithmetic.of("+", sum, attribute.apply(element)));
    }
    return sum;
  }

  private static Object map(Object value, Arguments arguments, RenderLimits budget) {
    UnaryOperator<Object> function;
    if (arguments.positional().isEmpty()) {
      Object[] bound = arguments.bind("attribute", "default");
      function = attribute(Arguments.required(bound[0], "attribute"), bound[1], budget);
    } else {
      String filter = JinjaValues.text(arguments.positional().getFirst()).chars();
      function = element -> Filters.apply(filter, element, arguments.after(1), budget);
    }
    return elementsOfTrue(value, budget).map(function).toList();
  }

  /** The elements that pass, or fail, a test; without a test the truthy or falsy ones. */
  private static Object select(
      Object value, Arguments arguments, boolean byAttribute, boolean wanted, RenderLimits budget) {
    List<Object> given = arguments.positional();
    if (byAttribute && given.isEmpty()) {
      throw new TemplateException("the argument attribute is missing");
    }
    UnaryOperator<Object> attribute =
        attribute(byAttribute ? given.getFirst() : null, null, budget);
    int before = byAttribute ? 1 : 0;
    Predicate<Object> holds =
        given.size() == before
            ? JinjaValues::truth
            : tested ->
                Tests.holds(
                    JinjaValues.text(given.get(before)).chars(),
                    tested,
                    arguments.after(before + 1),
                    budget);
    return elementsOfTrue(value, budget)
        .filter(element -> holds.test(attribute.apply(element)) == wanted)
        .toList();
  }

  /** The elements of a value; none of a falsy value. */
  private static Stream<Object> elementsOfTrue(Object value, RenderLimits budget) {
    List<Object> elements =
        JinjaValues.truth(value) ? JinjaValues.elements(value, budget) : List.of();
    budget.spend(elements.size());
    return elements.stream();
  }

  private static Object groupby(Object value, Arguments arguments, RenderLimits budget) {
    Object[] bound = arguments.bind("attribute", "default", "case_sensitive");
    UnaryOperator<Object> attribute =
        attribute(Arguments.required(bound[0], "attribute"), bound[1], budget);
    UnaryOperator<Object> key = element -> folded(attribute.apply(element), bound[2]);
    List<Object> groups = new ArrayList<>();
    List<Object> group = null;
    Object last = null;
    for (Object element : sorted(JinjaValues.elements(value, budget), key, false, budget)) {
      Object next = key.apply(element);
      if (group == null || !JinjaValues.equal(last, next, budget)) {
        group = new ArrayList<>();
        groups.add(Tuple.of(attribute.apply(element), group));
        last = next;
      }
      group.add(element);
    }
    return groups;
  }

  private static Object batch(Object value, Arguments arguments, RenderLimits budget) {
    Object[] bound = arguments.bind("linecount", "fill_with");
    int size = JinjaValues.count(Arguments.required(bound[0], "linecount"));
    if (size < 1) {
      throw new TemplateException("batch needs a linecount of 1 or more");
    }
    List<Object> batches = new ArrayList<>();
    List<Object> batch = null;
    for (Object element : JinjaValues.elements(value, budget)) {
      budget.spend(1);
      if (batch == null || batch.size() == size) {
        batch = new ArrayList<>();
        batches.add(batch);
      }
      batch.add(element);
    }
    while (batch != null && batch.size() < size && bound[1] != null && bound[1] != None.NONE) {
      budget.spend(1);
      batch.add(bound[1]);
    }
    return batches;
  }
}
