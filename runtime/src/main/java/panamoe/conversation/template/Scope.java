package panamoe.conversation.template;

import java.util.HashMap;
import java.util.Map;

/**
 * A scope of variables; a name that is not defined here is looked up in the outer scope.
 *
 * @param around the outer scope; null for none
 * @param budget of the rendering
 */
record Scope(Scope around, RenderLimits budget, Map<String, Object> values) {
  /** The outermost scope. */
  Scope(RenderLimits budget) {
    this(null, budget, new HashMap<>());
  }

  Scope(Scope around) {
    this(around, around.budget, new HashMap<>());
  }

  void set(String name, Object value) {
    values.put(name, value);
  }

  Object get(String name) {
    for (Scope scope = this; scope != null; scope = scope.around) {
      Object value = scope.values.get(name);
      if (value != null) {
        return value;
      }
    }
    return new Undefined("'" + name + "' is undefined");
  }
}
