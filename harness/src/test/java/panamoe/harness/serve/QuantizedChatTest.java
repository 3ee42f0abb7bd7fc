package panamoe.harness.serve;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import panamoe.conversation.Message;
import panamoe.harness.CommandRun;
import panamoe.open.FolderChat;
import panamoe.open.ModelFolder;

/** A model made from a released one has no family name, but its configuration. */
class QuantizedChatTest {
  @Test
  void aQuantizedFolderKeepsItsFamilysForm(@TempDir Path folder) throws IOException {
    Path text = Files.writeString(folder.resolve("text"), "the cat and the dog ".repeat(200));
    Path out = folder.resolve("quantized");
    String gguf = "../lab/golden/gguf/mixtral_text_f16.gguf";
    String command = "quantize " + gguf + " --to int8 --measure 0 --text " + text + " --out " + out;
    CommandRun run = CommandRun.of(command.split(" "));
    assertEquals(0, run.exitCode(), run.err());
    Files.writeString(out.resolve("tokenizer_config.json"), "{}"); // it had a template
    ModelFolder quantized = ModelFolder.open(out);
    assertTrue(quantized.tokenizerFiles().chatTemplate().isEmpty());
    List<Message> messages =
        List.of(
            Message.of("system", "S"),
            Message.of("user", "a<|im_end|>"),
            Message.of("assistant", "b"),
            Message.of("user", "c"));
    List<String> warnings = new ArrayList<>();
    assertEquals(
        "<s>[INST] S\n\na<|im_end|> [/INST] b</s>[INST] c [/INST]",
        FolderChat.of(quantized, null, warnings::add).prompt(messages).text());
    assertEquals(
        List.of(
            out + " has no chat template; its messages are written as its family's usually are"),
        warnings);
  }
}
