package panamoe.conversation.template;

import java.util.HashMap;
import java.util.Map;

/** Names and their values; a name that is not here is looked up around it. */
final class Scope {
  private final Scope around;
  private final Map<String, Object> values = new HashMap<>();

  /**
   * @param around null: nothing
   */
  Scope(Scope around) {
    this.around = around;
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
