package panamoe.conversation.template;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** Evaluates {@code of.name}, {@code of[index]} and {@code of[from:to]}. */
final class Attributes {
  private static final Set<String> CHANGING_LIST =
      Set.of("append", "clear", "extend", "insert", "pop", "remove", "reverse", "sort");
  private static final Set<String> CHANGING_MAPPING =
      Set.of("clear", "pop", "popitem", "setdefault", "update");

  private Attributes() {}

  /** An attribute, or else the entry with that key. */
  static Object attribute(Object of, String name, RenderLimits budget) {
    Object found = own(of, name, budget);
    if (found == null && of instanceof Map<?, ?> map) {
      found = map.get(Text.of(name));
    }
    return found == null ? missing(of, "attribute '" + name + "'") : found;
  }

  /** An element, or else the attribute of that name. */
  static Object item(Object of, Object index, RenderLimits budget) {
    if (index instanceof Text) {
      budget.spendOn(index);
    }
    Object found =
        switch (of) {
          case Map<?, ?> map when JinjaValues.isKey(index) -> map.get(index);
          case List<?> _, Text _ when JinjaValues.isNumber(index) && !(index instanceof Double) ->
              element(of, index, budget);
          default -> null;
        };
    if (found == null && index instanceof Text name) {
      found = own(of, name.chars(), budget);
    }
    if (found != null) {
      return found;
    }
    return index instanceof Text name
        ? missing(of, "attribute " + PythonText.repr(name))
        : missing(of, "element " + (JinjaValues.isNumber(index) ? PythonText.str(index) : ""));
  }

  private static Undefined missing(Object of, String what) {
    return new Undefined("'" + JinjaValues.type(of) + " object' has no " + what);
  }

  private static Object own(Object of, String name, RenderLimits budget) {
    return switch (of) {
      case Undefined undefined -> throw undefined.error();
      case NamespaceObject namespace -> namespace.values().get(name);
      case Loop loop -> loop.attribute(name);
      case Text text -> TextMethods.method(text, name, budget);
      case List<?> list ->
          CHANGING_LIST.contains(name) ? changing("list", name) : method(list, name, budget);
      case Map<?, ?> map ->
          CHANGING_MAPPING.contains(name) ? changing("dict", name) : method(map, name, budget);
      default -> null;
    };
  }

  private static Function changing(String type, String name) {
    return _ -> {
      throw new TemplateException(
          "%s would change a %s, which a template may not; only a namespace changes", name, type);
    };
  }

  private static Function method(List<?> list, String name, RenderLimits budget) {
    return switch (name) {
      case "copy" -> _ -> budget.spendOn(new ArrayList<>(list));
      case "count" ->
          arguments -> {
            Object value = arguments.one("value");
            return list.stream().filter(each -> JinjaValues.equal(each, value, budget)).count();
          };
      case "index" ->
          arguments -> {
            Object value = arguments.one("value");
            for (int i = 0; i < list.size(); i++) {
              if (JinjaValues.equal(list.get(i), value, budget)) {
                return (long) i;
              }
            }
            throw new TemplateException("the list has no such element");
          };
      default -> null;
    };
  }

  private static Function method(Map<?, ?> map, String name, RenderLimits budget) {
    return switch (name) {
      case "get" ->
          arguments -> {
            Object[] bound = arguments.bind("key", "default");
            Object found = map.get(JinjaValues.key(Arguments.required(bound[0], "key")));
            return found != null ? found : bound[1] == null ? None.NONE : bound[1];
          };
      case "items" -> _ -> items(map, budget);
      case "keys" -> _ -> budget.spendOn(new ArrayList<Object>(map.keySet()));
      case "values" -> _ -> budget.spendOn(new ArrayList<Object>(map.values()));
      case "copy" -> _ -> budget.spendOn(new LinkedHashMap<>(map));
      default -> null;
    };
  }

  static List<Object> items(Map<?, ?> map, RenderLimits budget) {
    budget.spend(map.size());
    List<Object> items = new ArrayList<>();
    map.forEach((key, value) -> items.add(Tuple.of(key, value)));
    return items;
  }

  /** An element of a list or a character of a string; null if the index is out of range. */
  private static Object element(Object of, Object index, RenderLimits budget) {
    long size = JinjaValues.length(of);
    long place = JinjaValues.whole(index);
    int at = (int) (place < 0 ? Math.max(place + size, -1) : Math.min(place, size));
    if (at < 0 || at == size) {
      return null;
    }
    if (of instanceof List<?> list) {
      return list.get(at);
    }
    Text text = (Text) budget.spendOn(of);
    return text.slice(Chars.offset(text, at), Chars.offset(text, at + 1));
  }

  /** {@code of[from:to:step]}; null for omitted parts. */
  static Object slice(Object of, Object from, Object to, Object step, RenderLimits budget) {
    JinjaValues.requireDefined(of);
    if (!(of instanceof List<?> || of instanceof Text)) {
      throw new TemplateException(JinjaValues.type(of) + " cannot be sliced");
    }
    if (of instanceof Text text) {
      budget.spendOn(text);
    }
    int size = (int) JinjaValues.length(of);
    int by = isGiven(step) ? JinjaValues.count(step) : 1;
    if (by == 0) {
      throw new TemplateException("slice step cannot be zero");
    }
    int begin = isGiven(from) ? place(from, size, by) : by > 0 ? 0 : size - 1;
    int end = isGiven(to) ? place(to, size, by) : by > 0 ? size : -1;
    if (of instanceof Text text && by == 1) {
      return begin >= end
          ? Text.EMPTY
          : budget.spendOn(text.slice(Chars.offset(text, begin), Chars.offset(text, end)));
    }
    List<Object> elements = JinjaValues.elements(of, budget);
    List<Object> slice = new ArrayList<>();
    for (long at = begin; by > 0 ? at < end : at > end; at += by) {
      budget.spend(1);
      slice.add(elements.get((int) at));
    }
    return switch (of) {
      case Text _ -> TextMethods.join(Text.EMPTY, slice, budget);
      case Tuple _ -> new Tuple(slice);
      default -> slice;
    };
  }

  private static boolean isGiven(Object bound) {
    return bound != null && bound != None.NONE;
  }

  private static int place(Object bound, int size, int by) {
    long at = JinjaValues.whole(bound);
    at = at < 0 ? at + size : at;
    return by > 0 ? Math.clamp(at, 0, size) : Math.clamp(at, -1, size - 1);
  }
}
