package panamoe.peers;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import java.util.regex.Pattern;
import java.util.stream.IntStream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import panamoe.checkpoint.gguf.GgufFile;
import panamoe.checkpoint.gguf.GgufMetadata;
import panamoe.checkpoint.gguf.GgufWriter;
import panamoe.data.JsonTokenizer;
import panamoe.data.ReleasedTokenizer;
import panamoe.data.tokenizer.GgufTokenizerKeys;
import panamoe.io.DataException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * {@link ReleasedTokenizer} gives libllama's tokens for the vocabulary of a GGUF file. Skipped
 * unless ci/fetch/peers has installed it.
 */
@Tag("slow")
class LlamaVocabularyTest {
  private static final Path LIBRARY =
      Path.of("../../build/peers/llama").toAbsolutePath().normalize();
  private static final Path RECORDED =
      Path.of("../../runtime/src/test/resources/golden/tokenizers");
  private static final List<String> PARTS =
      List.of(
          "the",
          " Other",
          "WORDS",
          " camelCase",
          "12345",
          "6",
          " 78 ",
          "'s",
          "'LL",
          "!?",
          " ((",
          "\n",
          "\r\n\n",
          "  ",
          "\t",
          "天气",
          "ひら",
          "カナ",
          "они",
          "é",
          "ǅ",
          "가",
          "🦙",
          "½",
          "٣",
          ".\n",
          "_",
          "$x",
          "\u3000",
          "ß",
          "<|endoftext|>");

  /** There its white space is ASCII's; the publisher's tokenizer.json means every kind. */
  private static final List<String> ASCII_SPACES = List.of("deepseek-coder", "deepseek-llm");

  private static final Pattern OTHER_SPACES = Pattern.compile("[\\u0085\\u00a0\\p{Z}&&[^ ]]");

  private static LibLlama library;

  @TempDir private Path folder;

  @BeforeAll
  static void isInstalled() {
    assumeTrue(Files.isDirectory(LIBRARY), "ci/fetch/peers has not installed libllama");
    library = new LibLlama(LIBRARY);
  }

  /** Names that we do not read are refused in a message that lists the others. */
  @Test
  void everyFamilyOfPatternsSplitsTextAlike() throws IOException {
    GgufWriter file = recorded("gpt-2");
    GgufMetadata unknown = file.put("tokenizer.ggml.pre", "?").metadata(Path.of("FILE"));
    String refused = assertThrows(DataException.class, () -> ours(unknown)).getMessage();
    String[] names = refused.substring(refused.indexOf("one of ") + 7).split(", ");
    assertTrue(names.length > 20, refused);
    for (String name : names) {
      compare(file.put("tokenizer.ggml.pre", name), name);
    }
  }

  /** The pieces of a vocabulary of SentencePiece, with the merges that their scores give. */
  @Test
  void gemma4MergesCharactersByAList() throws IOException {
    GgufWriter file = recorded("spm");
    GgufMetadata spm = file.metadata(Path.of("FILE"));
    List<?> tokens = (List<?>) spm.values().get("tokenizer.ggml.tokens");
    double[] scores = (double[]) spm.values().get("tokenizer.ggml.scores");
    Map<Double, List<String>> merges = new TreeMap<>();
    for (int id = 0; id < tokens.size(); id++) {
      String token = (String) tokens.get(id);
      for (int at = 1; at < token.length(); at++) {
        String left = token.substring(0, at);
        String right = token.substring(at);
        if (tokens.contains(left) && tokens.contains(right)) {
          merges.computeIfAbsent(-scores[id], _ -> new ArrayList<>()).add(left + " " + right);
        }
      }
    }
    file.remove("tokenizer.ggml.scores");
    file.remove("tokenizer.ggml.pre");
    file.remove("tokenizer.ggml.add_space_prefix");
    file.put("tokenizer.ggml.model", "gemma4");
    file.put("tokenizer.ggml.add_bos_token", false); // has no effect
    file.put("tokenizer.ggml.merges", merges.values().stream().flatMap(List::stream).toList());
    compare(file, "gemma4");
    assertTrue(ours(file.metadata(Path.of("FILE"))).prefix().length == 1);
  }

  /** As export writes it; its own pieces of white space are given in the text's spelling. */
  @ParameterizedTest
  @ValueSource(strings = {"bpe_bytes", "bpe_own"})
  void sentencePiecesFileIsExported(String name) throws IOException {
    Path model = RECORDED.resolveSibling("sentencepiece").resolve(name + ".model");
    Path copied = Files.copy(model, folder.resolve("tokenizer.model"));
    JsonTokenizer read = ReleasedTokenizer.ofFolder(folder);
    GgufWriter file = recorded("spm");
    file.metadata(Path.of("FILE")).keys().stream()
        .filter(key -> key.startsWith("tokenizer."))
        .toList()
        .forEach(file::remove);
    byte[] json = ReleasedTokenizer.json(copied);
    GgufTokenizerKeys.of(json, name, read.vocabularySize())
        .forEach((key, value) -> file.put("tokenizer.ggml." + key, value));
    file.put("tokenizer.ggml.bos_token_id", read.prefix()[0]);
    compare(file, name);
    JsonTokenizer again = ours(file.metadata(Path.of("FILE")));
    for (String text : texts()) {
      String plain = text.replace('\u2581', '_'); // which such a piece does not spell in GGUF
      assertArrayEquals(read.encode(plain), again.encode(plain), plain);
    }
  }

  private void compare(GgufWriter file, String name) throws IOException {
    JsonTokenizer ours = ours(file.metadata(Path.of(name)));
    Path written = folder.resolve(name + ".gguf");
    file.write(written, _ -> {});
    MemorySegment model = library.loadVocabulary(written);
    for (String text : texts()) {
      if (ASCII_SPACES.contains(name) && OTHER_SPACES.matcher(text).find()) {
        continue;
      }
      String said = name + ": " + text;
      int[] ids = library.tokenize(model, text, false, true);
      assertArrayEquals(ids, ours.encodeWithSpecialTokens(text), said);
      assertArrayEquals(library.tokenize(model, text, false, false), ours.encode(text), said);
      assertArrayEquals(
          library.tokenize(model, text, true, true),
          IntStream.concat(Arrays.stream(ours.prefix()), Arrays.stream(ids)).toArray(),
          said);
    }
    library.freeModel(model);
  }

  private static List<String> texts() throws IOException {
    List<String> texts = new ArrayList<>();
    JsonNode recorded =
        JsonMapper.shared().readTree(Files.readAllBytes(RECORDED.resolve("texts.json")));
    recorded.forEach(text -> texts.add(text.stringValue().replaceAll("\\p{Cs}", "\ufffd")));
    Random random = new Random(1);
    for (int i = 0; i < 200; i++) {
      StringBuilder text = new StringBuilder();
      for (int part = random.nextInt(10); part > 0; part--) {
        text.append(PARTS.get(random.nextInt(PARTS.size())));
      }
      texts.add(text.toString());
    }
    return texts;
  }

  private static JsonTokenizer ours(GgufMetadata metadata) {
    return ReleasedTokenizer.ofGguf(metadata.values(), metadata.path().toString()).orElseThrow();
  }

  private static GgufWriter recorded(String name) {
    try (GgufFile file = GgufFile.open(RECORDED.resolve("gguf_vocab/" + name + ".gguf"))) {
      return new GgufWriter().copy(file.metadata(), "");
    }
  }
}
