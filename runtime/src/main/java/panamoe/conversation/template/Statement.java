package panamoe.conversation.template;

import java.util.List;

/** What writes, decides, repeats or names. */
sealed interface Statement {
  record Data(Text text) implements Statement {}

  record Print(Expression value) implements Statement {}

  record If(List<Branch> branches, List<Statement> otherwise) implements Statement {}

  record Branch(Expression test, List<Statement> body) {}

  /**
   * @param only the condition of the elements that count; null for all
   * @param otherwise if there is no element
   */
  record For(
      List<String> targets,
      Expression in,
      Expression only,
      List<Statement> body,
      List<Statement> otherwise)
      implements Statement {}

  record SetNames(List<String> targets, Expression value, int line) implements Statement {}

  record SetAttribute(String namespace, String name, Expression value, int line)
      implements Statement {}

  /** Gives a name to what {@code body} writes, after filters; see {@link #BODY}. */
  record SetBody(String target, List<Statement> body, Expression filtered) implements Statement {}

  /** Writes what {@code body} writes, after filters; see {@link #BODY}. */
  record FilterBody(List<Statement> body, Expression filtered) implements Statement {}

  record MacroOf(String name, Signature signature, List<Statement> body) implements Statement {}

  /** Writes what a macro does, which can call {@code body} as {@code caller}. */
  record CallBody(Signature signature, Expression.Call call, List<Statement> body)
      implements Statement {}

  record With(List<String> targets, List<Expression> values, List<Statement> body)
      implements Statement {}

  /** A part with no effect of its own, such as {@code generation}. */
  record Group(List<Statement> body) implements Statement {}

  record Break() implements Statement {}

  record Continue() implements Statement {}

  /**
   * @param defaults of the last parameters
   */
  record Signature(List<String> parameters, List<Expression> defaults) {}

  /** The name, which no template can write, of the text that filters of a body are applied to. */
  String BODY = "{body}";
}
