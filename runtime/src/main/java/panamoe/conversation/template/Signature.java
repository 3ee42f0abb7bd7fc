package panamoe.conversation.template;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * The parameters of a macro.
 *
 * @param defaults of the last parameters
 */
record Signature(List<String> parameters, List<Expression> defaults) {
  /** A macro as a function, which returns what its body renders. */
  Function macro(List<Statement> body, Scope around) {
    int required = parameters.size() - defaults.size();
    return arguments -> {
      RenderLimits budget = around.budget();
      budget.enterCall();
      Scope scope = new Scope(around);
      List<Object> positional = arguments.positional();
      Map<String, Object> named = new LinkedHashMap<>(arguments.named());
      int bound = Math.min(positional.size(), parameters.size());
      for (int i = 0; i < bound; i++) {
        scope.set(parameters.get(i), positional.get(i));
      }
      for (int i = bound; i < parameters.size(); i++) {
        String name = parameters.get(i);
        Object value = named.remove(name);
        if (value == null) {
          value =
              i < required
                  ? new Undefined("parameter '" + name + "' was not provided")
                  : defaults.get(i - required).value(scope);
        }
        scope.set(name, value);
      }
      Object caller = named.remove("caller");
      if (caller != null) {
        scope.set("caller", caller);
      }
      scope.set("varargs", new Tuple(positional.subList(bound, positional.size())));
      Map<Object, Object> others = new LinkedHashMap<>();
      named.forEach((name, value) -> others.put(Text.of(name), value));
      scope.set("kwargs", others);
      Text text = Statement.text(body, scope);
      budget.leaveCall();
      return text;
    };
  }
}
