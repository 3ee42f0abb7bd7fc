package panamoe.conversation;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.BitSet;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;
import panamoe.conversation.template.ChatTemplate;
import panamoe.data.Tokenizer;

/** Built-in chat templates for released models that have none. */
public final class FallbackTemplate {
  /**
   * A template.
   *
   * @param file name of the resource
   * @param marker that the vocabulary must have as one token; empty if the template writes plain
   *     text
   */
  private record Form(String file, String marker) {}

  private static final Form CHATML = new Form("chatml", "<|im_start|>");
  private static final Form DEEPSEEK = new Form("deepseek", "<｜Assistant｜>");

  private static final Map<String, Form> BY_TYPE =
      Map.of(
          "qwen2_moe", CHATML,
          "qwen3_moe", CHATML,
          "deepseek_v2", DEEPSEEK,
          "deepseek_v3", DEEPSEEK,
          "gpt_oss", new Form("harmony", "<|channel|>"),
          "mixtral", new Form("mixtral", ""),
          "olmoe", new Form("olmoe", ""));

  private FallbackTemplate() {}

  /**
   * The template of a family, if the tokenizer has its marker.
   *
   * @param type the family's {@code model_type} in {@code config.json}
   */
  public static Optional<ChatTemplate> of(String type, Tokenizer tokenizer) {
    Form form = BY_TYPE.get(type);
    if (form == null || !has(tokenizer, form.marker)) {
      return Optional.empty();
    }
    Map<String, String> tokens = new HashMap<>();
    int[] prefix = tokenizer.prefix();
    tokens.put("bos_token", prefix.length == 0 ? "" : tokenizer.special(prefix[0]));
    tokens.put("eos_token", tokenizer.special(tokenizer.endOfText()));
    return Optional.of(ChatTemplate.of(text(form.file), "the template for " + type, tokens));
  }

  private static boolean has(Tokenizer tokenizer, String marker) {
    return marker.isEmpty() || tokenizer.encodeWithSpecialTokens(marker, new BitSet()).length == 1;
  }

  private static String text(String name) {
    try (InputStream in =
        FallbackTemplate.class.getResourceAsStream("templates/" + name + ".jinja")) {
      return new String(in.readAllBytes(), StandardCharsets.UTF_8);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
