package panamoe.harness.serve;

import com.fasterxml.jackson.annotation.JsonInclude;
import java.util.List;
import java.util.UUID;

/**
 * A call of a function in an answer, or what a chunk adds to one.
 *
 * @param index the call's number in its text; null in a whole answer
 * @param id null where a chunk goes on with a call, as {@code type} and the function's name are
 */
@JsonInclude(JsonInclude.Include.NON_NULL)
public record ToolCall(Integer index, String id, String type, Function function) {
  /**
   * @param arguments JSON, or a piece of it
   */
  @JsonInclude(JsonInclude.Include.NON_NULL)
  public record Function(String name, String arguments) {}

  static ToolCall begun(int index, String id, String name, String arguments) {
    return new ToolCall(index, id, "function", new Function(name, arguments));
  }

  static ToolCall more(int index, String arguments) {
    return new ToolCall(index, null, null, new Function(null, arguments));
  }

  /** The id of a new call. */
  static String newId() {
    return "call_" + UUID.randomUUID().toString().replace("-", "").substring(0, 24);
  }

  /** Adds arguments to what a piece tells: they join the call that began with the same piece. */
  static void addArguments(List<ToolCall> told, int index, String arguments) {
    ToolCall last = told.isEmpty() ? null : told.getLast();
    if (last == null) {
      told.add(more(index, arguments));
      return;
    }
    Function joined = new Function(last.function.name, last.function.arguments + arguments);
    told.set(told.size() - 1, new ToolCall(last.index, last.id, last.type, joined));
  }

  /** Adds to the calls of a text what a piece tells of them. */
  void addTo(List<ToolCall> calls) {
    if (id == null) {
      addArguments(calls, index, function.arguments);
    } else {
      calls.add(this);
    }
  }

  ToolCall whole() {
    return new ToolCall(null, id, type, function);
  }
}
