package panamoe.data;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import panamoe.engine.GenerationRequest;
import panamoe.io.DataException;
import tools.jackson.databind.node.ObjectNode;

/** The prefix and end tokens by the files of a released model's folder. */
class ReleasedFolderTest {
  @TempDir private Path folder;

  @Test
  void withoutOtherFilesTheUsualNameEndsATextAndNothingBeginsIt() throws IOException {
    write("tokenizer.json", TinyPieces.pairs());
    JsonTokenizer tokenizer = ReleasedTokenizer.ofFolder(folder);
    assertArrayEquals(new int[] {2}, tokenizer.ends());
    assertArrayEquals(new int[0], tokenizer.prefix());
  }

  @Test
  void generationConfigGoesBeforeOthers() throws IOException {
    write("tokenizer.json", TinyPieces.pairs());
    Files.writeString(folder.resolve("config.json"), "{\"eos_token_id\": 5}");
    Files.writeString(folder.resolve("tokenizer_config.json"), "{\"eos_token\": \"<s>\"}");
    assertArrayEquals(new int[] {5}, ReleasedTokenizer.ofFolder(folder).ends());
    Files.writeString(
        folder.resolve("config.json"), "{\"text_config\": {\"eos_token_id\": [4, 5]}}");
    assertArrayEquals(new int[] {4, 5}, ReleasedTokenizer.ofFolder(folder).ends());
    Files.writeString(folder.resolve("generation_config.json"), "{\"eos_token_id\": [7, 6]}");
    assertArrayEquals(new int[] {7, 6}, ReleasedTokenizer.ofFolder(folder).ends());
    Files.writeString(folder.resolve("generation_config.json"), "{}");
    Files.delete(folder.resolve("config.json"));
    assertArrayEquals(new int[] {1}, ReleasedTokenizer.ofFolder(folder).ends());
  }

  @Test
  void tokenizerConfigSaysWhetherATextHasABeginning() throws IOException {
    ObjectNode json = TinyPieces.pairs();
    ObjectNode template = json.putObject("post_processor").put("type", "TemplateProcessing");
    template.putArray("single").addObject().putObject("SpecialToken").put("id", "<unk>");
    template.putObject("special_tokens").putObject("<unk>").putArray("ids").add(0);
    write("tokenizer.json", json);
    assertArrayEquals(new int[] {0}, ReleasedTokenizer.ofFolder(folder).prefix());
    Path settings = folder.resolve("tokenizer_config.json");
    Files.writeString(settings, "{\"add_bos_token\": true, \"bos_token\": {\"content\": \"<s>\"}}");
    JsonTokenizer tokenizer = ReleasedTokenizer.ofFolder(folder);
    assertArrayEquals(new int[] {1}, tokenizer.prefix());
    assertArrayEquals(new int[] {1}, GenerationRequest.tokensOf("", tokenizer));
    assertEquals(1, GenerationRequest.tokensOf("the", tokenizer)[0]);
    assertArrayEquals(
        tokenizer.encode("the"),
        Arrays.stream(GenerationRequest.tokensOf("the", tokenizer)).skip(1).toArray());
    Files.writeString(settings, "{\"add_bos_token\": false, \"bos_token\": \"<s>\"}");
    assertArrayEquals(new int[0], ReleasedTokenizer.ofFolder(folder).prefix());
    Files.writeString(settings, "{\"add_bos_token\": true, \"bos_token\": \"<b>\"}");
    refuses("begins texts with '<b>', which is no special token");
  }

  /** Llama's files say it with a flag; a flag that is false leaves a template's end. */
  @Test
  void aTextMayHaveAnEnd() throws IOException {
    ObjectNode json = TinyPieces.pairs();
    ObjectNode template = json.putObject("post_processor").put("type", "TemplateProcessing");
    template.putArray("single").addObject().putObject("Sequence").put("id", "A");
    template.withArray("single").addObject().putObject("SpecialToken").put("id", "</s>");
    template.putObject("special_tokens").putObject("</s>").putArray("ids").add(2);
    write("tokenizer.json", json);
    JsonTokenizer tokenizer = ReleasedTokenizer.ofFolder(folder);
    assertArrayEquals(new int[0], tokenizer.prefix());
    assertArrayEquals(new int[] {2}, tokenizer.suffix());
    Path settings = folder.resolve("tokenizer_config.json");
    Files.writeString(settings, "{\"add_eos_token\": false, \"eos_token\": \"</s>\"}");
    assertArrayEquals(new int[] {2}, ReleasedTokenizer.ofFolder(folder).suffix());
    write("tokenizer.json", TinyPieces.pairs());
    assertArrayEquals(new int[0], ReleasedTokenizer.ofFolder(folder).suffix());
    Files.writeString(settings, "{\"add_eos_token\": true, \"eos_token\": \"</s>\"}");
    assertArrayEquals(new int[] {2}, ReleasedTokenizer.ofFolder(folder).suffix());
    Files.writeString(settings, "{\"add_eos_token\": true, \"eos_token\": \"<e>\"}");
    refuses("ends texts with '<e>', which is no special token");
  }

  @Test
  void refusesWhatContradictsTheTokenizer() throws IOException {
    refuses("has no tokenizer.json or tokenizer.model");
    write("tokenizer.json", TinyPieces.pairs());
    Path config = folder.resolve("generation_config.json");
    for (String ids : new String[] {"1000000", "-1", "[2, \"a\"]", "1.5", "{}"}) {
      Files.writeString(config, "{\"eos_token_id\": " + ids + "}");
      refuses("generation_config.json has an eos_token_id that is not the number of one of");
    }
    Files.writeString(config, "{");
    refuses("generation_config.json is not valid JSON");
  }

  private void refuses(String expected) {
    DataException e = assertThrows(DataException.class, () -> ReleasedTokenizer.ofFolder(folder));
    assertTrue(e.getMessage().contains(expected), e.getMessage());
    assertEquals(1, e.getMessage().lines().count());
  }

  private void write(String name, ObjectNode json) throws IOException {
    Files.write(folder.resolve(name), TinyTokenizer.MAPPER.writeValueAsBytes(json));
  }
}
