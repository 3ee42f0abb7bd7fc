package panamoe.text;

import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import panamoe.api.Device;
import panamoe.api.PanamoeException;

/** Records of options refuse invalid values when they are created. */
class OptionsTest {
  private static final GenerationOptions TEXT = GenerationOptions.of(10);
  private static final ChatOptions CHAT = ChatOptions.of(TEXT);
  private static final Tool TOOL = new Tool("f", null, null);

  static Stream<Arguments> refusals() {
    return Stream.of(
        refused("role is null", () -> ChatMessage.of(null, "a")),
        refused("content is null", () -> ChatMessage.user(null)),
        refused("calls is null", () -> new ChatMessage("user", "", null, null, null, null)),
        refused("arguments is null", () -> new ToolCall("1", "f", null)),
        refused("name is null", () -> new Tool(null, null, null)),
        refused("1 to 64 letters", () -> new Tool("a b", null, null)),
        refused("function f are not a schema", () -> new Tool("f", null, "{\"type\": \"string\"}")),
        refused("the parameters of f", () -> new Tool("f", null, "{")),
        refused("two functions have the name f", () -> CHAT.withTools(TOOL, TOOL)),
        refused("a tool is null", () -> CHAT.withTools((Tool) null)),
        refused("there are no functions", () -> CHAT.withChoice(ToolChoice.REQUIRED)),
        refused("choice is null", () -> CHAT.withChoice(null)),
        refused("the variables", () -> CHAT.withVariables("[]")),
        refused("precision is null", () -> ModelOptions.USUAL.withPrecision(null)),
        refused("weights is null", () -> ModelOptions.USUAL.withWeights(null)),
        refused("sequences is 0, expected 1 to 1024", () -> ModelOptions.USUAL.withSequences(0)),
        refused("the number of tokens is -1", () -> GenerationOptions.of(-1)),
        refused("sampling is null", () -> TEXT.withSampling(null)),
        refused("stop is null", () -> TEXT.withStop((String[]) null)),
        refused("a stop is null", () -> TEXT.withStop("a", null)),
        refused("a stop string is empty", () -> TEXT.withStop("")),
        refused("the schema", () -> TEXT.withSchema("{")),
        refused("\"oneOf\"", () -> TEXT.withSchema("{\"oneOf\": 1}")),
        refused("temperature is -1", () -> Sampling.of(-1, 0)),
        refused("top-k is -1", () -> Sampling.GREEDY.withTopK(-1)),
        refused("top-p is 0", () -> Sampling.GREEDY.withTopP(0)),
        refused("min-p is 2", () -> Sampling.GREEDY.withMinP(2)),
        refused("penalties is null", () -> Sampling.GREEDY.withPenalties(null)),
        refused("the repetition penalty is 0", () -> new Sampling.Penalties(0, 0, 0)),
        refused("the presence penalty is 101", () -> new Sampling.Penalties(1, 101, 0)),
        refused("context is -1", () -> ModelOptions.USUAL.withContext(-1)),
        refused("waiting is -1", () -> ServiceOptions.USUAL.withWaiting(-1)),
        refused("drain is null", () -> ServiceOptions.USUAL.withDrain(null)),
        refused("drain is PT-1S", () -> ServiceOptions.USUAL.withDrain(Duration.ofSeconds(-1))),
        refused("device is null", () -> ServiceOptions.USUAL.withDevice(null, 1)),
        refused("threads is -1", () -> ServiceOptions.USUAL.withDevice(Device.Type.CPU, -1)),
        refused("prompt is null", () -> TextRequest.of((String) null, TEXT)),
        refused("prompt is null", () -> TextRequest.of((int[]) null, TEXT)),
        refused("options is null", () -> TextRequest.of("a", null)),
        refused("messages is null", () -> TextRequest.of((List<ChatMessage>) null, CHAT)),
        refused("logprobs is 21", () -> TextRequest.of("a", TEXT).withLogprobs(21)),
        refused("user is null", () -> TextRequest.of("a", TEXT).withUser(null)),
        refused(
            "deadline is PT-1S",
            () -> TextRequest.of("a", TEXT).withDeadline(Duration.ofSeconds(-1))));
  }

  private static Arguments refused(String why, Runnable making) {
    return Arguments.of(why, making);
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("refusals")
  void areRefusedWhenMade(String why, Runnable making) {
    String said = assertThrows(PanamoeException.BadArgument.class, making::run).getMessage();
    assertTrue(said.contains(why), said);
  }
}
