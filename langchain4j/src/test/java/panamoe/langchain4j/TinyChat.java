package panamoe.langchain4j;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import panamoe.api.AdamW;
import panamoe.api.AdamWSettings;
import panamoe.api.Device;
import panamoe.api.ModelSettings;
import panamoe.api.ModelStep;
import panamoe.api.TrainableModel;
import panamoe.data.TinyTokenizer;
import panamoe.text.ChatMessage;
import panamoe.text.ChatOptions;
import panamoe.text.ModelOptions;
import panamoe.text.MoeModel;
import panamoe.text.ServiceOptions;
import panamoe.text.TextService;

/** A tiny model that has learnt one answer, with a released template that has tools. */
final class TinyChat {
  private static final Path TEMPLATE =
      Path.of("../lab/golden/templates/text/Qwen-Qwen2.5-7B-Instruct.jinja");
  private static final ModelSettings SETTINGS = ModelSettings.of(421, 4096, 16, 2, List.of(0, 4));
  private static final ModelOptions OPTIONS =
      ModelOptions.USUAL.withSequences(4).withChatTemplate(TEMPLATE);

  private TinyChat() {}

  /** Writes the model and opens it. */
  static TextService open(Path folder) {
    write(folder);
    return TextService.open(folder, OPTIONS, ServiceOptions.USUAL.withWaiting(8));
  }

  private static void write(Path folder) {
    try (Device device = Device.open("cpu", 1);
        TrainableModel model = TrainableModel.create(device, SETTINGS, 3)) {
      model.save(folder, 0, Map.of());
      Files.writeString(folder.resolve("tokenizer.json"), TinyTokenizer.json().toString());
      learn(model, conversation(device, folder));
      model.save(folder, 1, Map.of());
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static int[] conversation(Device device, Path folder) {
    try (MoeModel reader = MoeModel.open(device, folder, OPTIONS)) {
      int[] prompt =
          reader.encode(
              List.of(ChatMessage.user("What is the capital of Germany?")), ChatOptions.of(0));
      return IntStream.concat(
              IntStream.of(prompt), IntStream.of(reader.encode("Berlin ".repeat(8))))
          .toArray();
    }
  }

  private static void learn(TrainableModel model, int[] conversation) {
    try (Arena arena = Arena.ofConfined();
        AdamW optimizer = AdamW.begin(model, AdamWSettings.USUAL)) {
      MemorySegment tokens = arena.allocateFrom(ValueLayout.JAVA_INT, conversation);
      int length = conversation.length - 1;
      for (int n = 0; n < 150; n++) {
        model.parameters().zeroGradients();
        try (ModelStep step = model.train(tokens, tokens.asSlice(4), 1, length, n)) {
          step.backward();
          optimizer.step(1e-2);
        }
      }
    }
  }
}
