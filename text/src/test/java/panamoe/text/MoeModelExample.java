package panamoe.text;

import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import panamoe.api.AdamW;
import panamoe.api.AdamWSettings;
import panamoe.api.Device;
import panamoe.api.ModelStep;
import panamoe.api.TrainableModel;

/** The examples of {@link MoeModel}'s documentation; a test runs them. */
final class MoeModelExample {
  private MoeModelExample() {}

  static GenerationResult run(Path folder) {
    // @start region="model"
    GenerationOptions options =
        GenerationOptions.of(100).withSampling(Sampling.of(0.8, 1).withTopP(0.9)).withStop("\n\n");
    try (Device device = Device.open(Device.Type.AUTO, 0);
        MoeModel model = MoeModel.open(device, folder)) {
      GenerationResult result = model.generate("Mr President", options, System.out::print);
      System.out.println(" (" + result.tokens().size() + " tokens, " + result.finishReason() + ")");
      return result;
    }
    // @end
  }

  static List<ChatMessage> talk(MoeModel model) {
    // @start region="chat"
    List<ChatMessage> messages = new ArrayList<>();
    messages.add(ChatMessage.system("Answer like a secretary."));
    for (String question : List.of("Whom does the committee thank?", "And what for?")) {
      messages.add(ChatMessage.user(question));
      GenerationResult reply =
          model.chat(messages, ChatOptions.of(60), piece -> System.out.print(piece.content()));
      messages.add(reply.message());
    }
    return messages;
    // @end
  }

  static List<ChatMessage> count(MoeModel model) {
    // @start region="tools"
    String side =
        """
        {"type": "object", "properties": {"side": {"enum": ["ayes", "noes"]}},
         "required": ["side"], "additionalProperties": false}""";
    ChatOptions options =
        ChatOptions.of(200)
            .withTools(new Tool("count", "Counts the votes of a side.", side))
            .withChoice(ToolChoice.REQUIRED)
            .withParallel(false);
    List<ChatMessage> messages = new ArrayList<>(List.of(ChatMessage.user("How many ayes?")));
    ChatMessage asks = model.chat(messages, options).message();
    messages.add(asks);
    for (ToolCall call : asks.calls()) {
      String votes = call.arguments().contains("ayes") ? "17" : "4";
      messages.add(ChatMessage.tool(call, votes));
    }
    GenerationResult answer =
        model.chat(messages, ChatOptions.of(60).withVariables("{\"enable_thinking\": false}"));
    messages.add(answer.message());
    return messages;
    // @end
  }

  /**
   * @param tokens INT32 [length], ids of bytes, and what follows each
   */
  static String trained(
      Device device, Path folder, MemorySegment tokens, MemorySegment targets, int length) {
    // @start region="trained"
    try (TrainableModel model = TrainableModel.load(device, folder);
        MoeModel writer = MoeModel.of(model)) {
      AdamW optimizer = AdamW.resume(model, AdamWSettings.USUAL);
      try (ModelStep step = model.train(tokens, targets, 1, length, 1)) {
        step.backward();
      }
      optimizer.step(1e-3);
      return writer.generate("Die Würde", GenerationOptions.of(20)).text(); // of the new weights
    }
    // @end
  }
}
