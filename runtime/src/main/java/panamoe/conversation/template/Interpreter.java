package panamoe.conversation.template;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import panamoe.conversation.template.Statement.Branch;
import panamoe.conversation.template.Statement.Signature;

/** Executes statements. One renders once. */
final class Interpreter {
  /** How a statement ended. */
  private enum Flow {
    NEXT,
    BREAK,
    CONTINUE
  }

  private final Budget budget;
  private final Evaluator evaluator;

  Interpreter(Budget budget) {
    this.budget = budget;
    this.evaluator = new Evaluator(budget);
  }

  /** What the statements write. */
  Text text(List<Statement> statements, Scope scope) {
    Text.Builder out = new Text.Builder();
    execute(statements, scope, out);
    return out.text();
  }

  private Flow execute(List<Statement> statements, Scope scope, Text.Builder out) {
    budget.enter();
    for (Statement statement : statements) {
      Flow flow = execute(statement, scope, out);
      if (flow != Flow.NEXT) {
        budget.leave();
        return flow;
      }
    }
    budget.leave();
    return Flow.NEXT;
  }

  private Flow execute(Statement statement, Scope scope, Text.Builder out) {
    budget.spend(1);
    switch (statement) {
      case Statement.Data data -> print(data.text(), out);
      case Statement.Print print -> {
        try {
          print(Printing.str(evaluator.value(print.value(), scope)), out);
        } catch (TemplateException e) {
          throw e.at(print.value().line());
        }
      }
      case Statement.If choice -> {
        return execute(chosen(choice, scope), scope, out);
      }
      case Statement.For loop -> loop(loop, scope, out);
      case Statement.SetNames set ->
          assign(set.targets(), evaluator.value(set.value(), scope), scope, set.line());
      case Statement.SetAttribute set -> {
        if (!(scope.get(set.namespace()) instanceof Namespace namespace)) {
          throw new TemplateException(set.namespace() + " is no namespace, so it cannot be changed")
              .at(set.line());
        }
        namespace.values().put(set.name(), evaluator.value(set.value(), scope));
      }
      case Statement.SetBody set ->
          scope.set(set.target(), filtered(set.body(), set.filtered(), scope));
      case Statement.FilterBody body ->
          print(Printing.str(filtered(body.body(), body.filtered(), scope)), out);
      case Statement.MacroOf macro ->
          scope.set(macro.name(), macro(macro.signature(), macro.body(), scope));
      case Statement.CallBody call -> {
        Arguments given = evaluator.arguments(call.call().inputs(), scope);
        Map<String, Object> named = new LinkedHashMap<>(given.named());
        named.put("caller", macro(call.signature(), call.body(), scope));
        Object callee = evaluator.value(call.call().of(), scope);
        try {
          Arguments arguments = new Arguments(given.positional(), named);
          print(Printing.str(evaluator.call(callee, arguments)), out);
        } catch (TemplateException e) {
          throw e.at(call.call().line());
        }
      }
      case Statement.With with -> {
        Scope inner = new Scope(scope);
        for (int i = 0; i < with.targets().size(); i++) {
          inner.set(with.targets().get(i), evaluator.value(with.values().get(i), scope));
        }
        return execute(with.body(), inner, out);
      }
      case Statement.Group group -> {
        return execute(group.body(), scope, out);
      }
      case Statement.Break _ -> {
        return Flow.BREAK;
      }
      case Statement.Continue _ -> {
        return Flow.CONTINUE;
      }
    }
    return Flow.NEXT;
  }

  private void print(Text text, Text.Builder out) {
    budget.spendOn(text);
    out.append(text);
  }

  private List<Statement> chosen(Statement.If choice, Scope scope) {
    for (Branch branch : choice.branches()) {
      if (evaluator.truth(branch.test(), scope)) {
        return branch.body();
      }
    }
    return choice.otherwise();
  }

  private Object filtered(List<Statement> body, Expression filtered, Scope scope) {
    Scope inner = new Scope(scope);
    Text written = text(body, inner);
    inner.set(Statement.BODY, written);
    return evaluator.value(filtered, inner);
  }

  private void loop(Statement.For loop, Scope scope, Text.Builder out) {
    int line = loop.in().line();
    List<Object> elements;
    try {
      elements = Values.elements(evaluator.value(loop.in(), scope), budget);
    } catch (TemplateException e) {
      throw e.at(line);
    }
    if (loop.only() != null) {
      List<Object> all = elements;
      elements = new ArrayList<>();
      for (Object element : all) {
        Scope inner = new Scope(scope);
        assign(loop.targets(), element, inner, line);
        if (evaluator.truth(loop.only(), inner)) {
          elements.add(element);
        }
      }
    }
    if (elements.isEmpty()) {
      execute(loop.otherwise(), new Scope(scope), out);
      return;
    }
    Loop state = new Loop(elements, budget);
    for (int i = 0; i < elements.size(); i++) {
      state.at(i);
      Scope inner = new Scope(scope);
      inner.set("loop", state);
      assign(loop.targets(), elements.get(i), inner, line);
      if (execute(loop.body(), inner, out) == Flow.BREAK) {
        return;
      }
    }
  }

  private void assign(List<String> targets, Object value, Scope scope, int line) {
    if (targets.size() == 1) {
      scope.set(targets.getFirst(), value);
      return;
    }
    List<Object> values;
    try {
      values = Values.elements(value, budget);
    } catch (TemplateException e) {
      throw e.at(line);
    }
    if (values.size() != targets.size()) {
      throw new TemplateException(
              "there are " + values.size() + " values for " + targets.size() + " names")
          .at(line);
    }
    for (int i = 0; i < targets.size(); i++) {
      scope.set(targets.get(i), values.get(i));
    }
  }

  private Function macro(Signature signature, List<Statement> body, Scope around) {
    List<String> parameters = signature.parameters();
    int required = parameters.size() - signature.defaults().size();
    return arguments -> {
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
                  : evaluator.value(signature.defaults().get(i - required), scope);
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
      Text text = text(body, scope);
      budget.leaveCall();
      return text;
    };
  }
}
