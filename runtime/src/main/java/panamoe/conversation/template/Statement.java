package panamoe.conversation.template;

import java.util.List;

/** A statement: it renders, branches, loops or assigns. */
@FunctionalInterface
interface Statement {
  /** How a statement ended. */
  enum Flow {
    NEXT,
    BREAK,
    CONTINUE
  }

  Flow execute(Scope scope, Text.Builder out);

  /** Executes statements in order. */
  static Flow execute(List<Statement> statements, Scope scope, Text.Builder out) {
    scope.budget().enter();
    Flow flow = Flow.NEXT;
    for (int i = 0; flow == Flow.NEXT && i < statements.size(); i++) {
      scope.budget().spend(1);
      flow = statements.get(i).execute(scope, out);
    }
    scope.budget().leave();
    return flow;
  }

  /** The output of statements. */
  static Text text(List<Statement> statements, Scope scope) {
    Text.Builder out = new Text.Builder();
    execute(statements, scope, out);
    return out.text();
  }

  /** A statement that adds its line to failures. */
  static Statement at(int line, Statement statement) {
    return (scope, out) -> {
      try {
        return statement.execute(scope, out);
      } catch (TemplateException e) {
        throw e.at(line);
      }
    };
  }

  /** A statement that outputs a value. */
  static Statement print(int line, Expression value) {
    return at(
        line,
        (scope, out) -> {
          Text text = PythonText.str(value.value(scope));
          scope.budget().spendOn(text);
          out.append(text);
          return Flow.NEXT;
        });
  }

  /** Assigns a value to a name, or its elements to several. */
  static void assign(List<String> targets, Object value, Scope scope) {
    List<Object> values =
        targets.size() == 1 ? List.of(value) : JinjaValues.elements(value, scope.budget());
    if (values.size() != targets.size()) {
      throw new TemplateException(
          "there are " + values.size() + " values for " + targets.size() + " names");
    }
    for (int i = 0; i < targets.size(); i++) {
      scope.set(targets.get(i), values.get(i));
    }
  }
}
