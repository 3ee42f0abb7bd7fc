package panamoe.harness.serve;

import com.fasterxml.jackson.annotation.JsonInclude;

/**
 * A call of a function in an answer, or what a chunk adds to one.
 *
 * @param index the call's number in its text; null in a whole answer
 * @param id null where a chunk goes on with a call, as {@code type} and the function's name are
 */
@JsonInclude(JsonInclude.Include.NON_NULL)
record ToolCall(Integer index, String id, String type, Function function) {
  /**
   * @param arguments JSON, or a piece of it
   */
  @JsonInclude(JsonInclude.Include.NON_NULL)
  record Function(String name, String arguments) {}

  static ToolCall begun(int index, String id, String name, String arguments) {
    return new ToolCall(index, id, "function", new Function(name, arguments));
  }

  static ToolCall more(int index, String arguments) {
    return new ToolCall(index, null, null, new Function(null, arguments));
  }

  ToolCall whole() {
    return new ToolCall(null, id, type, function);
  }
}
