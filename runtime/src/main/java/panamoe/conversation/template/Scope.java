package panamoe.conversation.template;

import java.util.HashMap;
import java.util.Map;

/**
 * Names and their values; a name that is not here is looked up around it.
 *
 * @param around null: nothing
 * @param budget of the rendering
 */
record Scope(Scope around, RenderLimits budget, Map<String, Object> values) {
  /** The outermost one. */
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
