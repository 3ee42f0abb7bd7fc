package panamoe.data;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertDoesNotThrow;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.IntStream;
import java.util.zip.CRC32C;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import panamoe.checkpoint.ArenaMemory;
import panamoe.data.Corpus.Part;
import panamoe.io.DataException;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorScope;

class PreparedTextTest {
  private static final int PER_SHARD = 1000;
  private static final Corpus CORPUS =
      Corpus.of(IntStream.range(0, 3000).mapToObj(i -> "The document " + i + ".").toList());

  @TempDir private Path directory;

  /** Bytes with ids from {@code first} on. */
  private record Shifted(int first, int vocabularySize) implements Tokenizer {
    private static final ByteTokenizer BYTES = new ByteTokenizer();

    @Override
    public int[] encode(String text) {
      return Arrays.stream(BYTES.encode(text)).map(token -> token + first).toArray();
    }

    @Override
    public byte[] bytesOf(int token) {
      return token < first || token > endOfText() ? new byte[0] : BYTES.bytesOf(token - first);
    }

    @Override
    public int endOfText() {
      return first + BYTES.endOfText();
    }

    @Override
    public String sha256() {
      return BYTES.sha256();
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {0, 65_536 - 257, 65_536 - 256, 100_000})
  void hasTheTokensOfTheText(int first) throws IOException {
    Shifted tokenizer = new Shifted(first, first + 257);
    Path folder = directory.resolve("tokens");
    prepare(tokenizer, folder);
    PreparedText prepared = PreparedText.open(folder);
    assertEquals(CORPUS.sha256(), prepared.sha256());
    assertEquals(first + 257 <= 65_536 ? 2 : 4, prepared.content().tokenBytes());
    for (Part part : Part.values()) {
      assertArrayEquals(all(CORPUS.tokens(part, tokenizer)), all(prepared.tokens(part, tokenizer)));
    }
    assertTrue(Files.exists(folder.resolve("training-00001.tokens")));
  }

  @Test
  void givesTheBatchesOfTheText() throws IOException {
    ByteTokenizer tokenizer = new ByteTokenizer();
    PreparedText prepared = prepare(tokenizer, directory.resolve("tokens"));
    TrainingData expected = new TrainingData(CORPUS, tokenizer, 64, 7);
    TrainingData actual = new TrainingData(prepared, tokenizer, 64, 7);
    try (TensorScope scope = TensorScope.confined(new ArenaMemory())) {
      Tensor[] tensors = new Tensor[4];
      Arrays.setAll(tensors, _ -> scope.zeros(DType.INT32, 64 * 100));
      for (long first = 0; first < 2 * expected.trainingSequences(); first += 100) {
        assertEquals(
            expected.fillTraining(first, tensors[0], tensors[1]).bytes(),
            actual.fillTraining(first, tensors[2], tensors[3]).bytes());
        assertArrayEquals(tensors[0].toInts(), tensors[2].toInts());
        assertArrayEquals(tensors[1].toInts(), tensors[3].toInts());
      }
    }
  }

  @Test
  void aDamagedShardIsRefused() throws IOException {
    Path folder = directory.resolve("tokens");
    PreparedText prepared = prepare(new ByteTokenizer(), folder);
    Path shard = folder.resolve("training-00001.tokens");
    byte[] sound = Files.readAllBytes(shard);
    for (int at = 0; at < sound.length; at += at < 130 ? 1 : 97) {
      byte[] bad = sound.clone();
      bad[at] ^= 4;
      Files.write(shard, bad);
      refused(prepared, shard + " is ");
    }
    for (int length : new int[] {0, 1, 128, sound.length - 1, sound.length + 1}) {
      Files.write(shard, Arrays.copyOf(sound, length));
      refused(prepared, shard + " has " + length + " bytes, expected " + sound.length);
    }
    Files.delete(shard);
    refused(prepared, "cannot read the tokens " + shard + ": no such file");
    Files.createSymbolicLink(shard, folder.resolve("training-00002.tokens"));
    refused(prepared, "a symbolic link");
  }

  @Test
  void aFileThatBecomesShorterHasAnotherChecksum() throws IOException {
    byte[] content = new byte[128 + (3 << 20) + 5];
    Arrays.fill(content, (byte) 7);
    CRC32C whole = new CRC32C();
    whole.update(content, 128, content.length - 128);
    Path file = Files.write(directory.resolve("shard"), content);
    try (FileChannel channel =
        FileChannel.open(file, StandardOpenOption.READ, StandardOpenOption.WRITE)) {
      assertEquals((int) whole.getValue(), TokenShards.checksum(channel, content.length));
      channel.truncate(5000);
      whole.reset();
      whole.update(content, 128, 5000 - 128);
      assertEquals((int) whole.getValue(), TokenShards.checksum(channel, content.length));
    }
  }

  @Test
  void aForeignShardIsRefused() throws IOException {
    Path folder = directory.resolve("tokens");
    PreparedText prepared = prepare(new ByteTokenizer(), folder);
    Path shard = folder.resolve("training-00001.tokens");
    Files.copy(folder.resolve("training-00002.tokens"), shard, StandardCopyOption.REPLACE_EXISTING);
    refused(prepared, shard + " is another shard than its name says");
    Path other = directory.resolve("other");
    Corpus reversed =
        Corpus.of(IntStream.range(0, 3000).mapToObj(i -> "A document " + i + ".").toList());
    PreparedText.prepare(reversed, "", new ByteTokenizer(), null, other, PER_SHARD);
    Files.copy(other.resolve("training-00001.tokens"), shard, StandardCopyOption.REPLACE_EXISTING);
    refused(prepared, shard + " is a shard of another text or tokenizer");
  }

  @Test
  void tokensBeyondTheVocabularyAreRefused() throws IOException {
    Shifted lying = new Shifted(0, 250);
    PreparedText prepared = prepare(lying, directory.resolve("tokens"));
    String message =
        assertThrows(DataException.class, () -> prepared.tokens(Part.TRAINING, lying)).getMessage();
    assertTrue(message.contains("training-00000.tokens is damaged"), message);
  }

  @Test
  void anotherTokenizerIsRefused() throws IOException {
    Path file =
        Files.write(
            directory.resolve("tokenizer.json"),
            TinyTokenizer.MAPPER.writeValueAsBytes(TinyTokenizer.json()));
    JsonTokenizer tokenizer = JsonTokenizer.load(file);
    Path folder = directory.resolve("tokens");
    PreparedText prepared = PreparedText.prepare(CORPUS, "", tokenizer, file, folder);
    assertArrayEquals(
        Files.readAllBytes(file), Files.readAllBytes(prepared.tokenizerFile().orElseThrow()));
    assertTrue(prepared.tokens(Part.VALIDATION, tokenizer).size() > 0);
    refused(prepared, folder + " has the tokens of another tokenizer");
  }

  @Test
  void aFailureLeavesNothing() {
    Path folder = directory.resolve("made/tokens");
    Corpus tooShort = Corpus.of(List.of("hello"));
    assertThrows(
        DataException.class,
        () -> PreparedText.prepare(tooShort, "", new ByteTokenizer(), null, folder));
    assertFalse(Files.exists(folder));
    String message =
        assertThrows(DataException.class, () -> PreparedText.open(directory)).getMessage();
    assertTrue(message.contains(directory + " holds no prepared text"), message);
  }

  /** Bytes; runs an action before the first encoding. */
  private record After(Runnable before) implements Tokenizer {
    private static final ByteTokenizer BYTES = new ByteTokenizer();

    @Override
    public int[] encode(String text) {
      before.run();
      return BYTES.encode(text);
    }

    @Override
    public byte[] bytesOf(int token) {
      return BYTES.bytesOf(token);
    }

    @Override
    public int vocabularySize() {
      return BYTES.vocabularySize();
    }

    @Override
    public int endOfText() {
      return BYTES.endOfText();
    }

    @Override
    public String sha256() {
      return BYTES.sha256();
    }
  }

  @Test
  void oneOfTwoThatWriteAtOnceKeepsItsFiles() throws IOException {
    Path folder = directory.resolve("tokens");
    AtomicBoolean begun = new AtomicBoolean();
    After overtaken =
        new After(
            () -> {
              if (begun.compareAndSet(false, true)) {
                assertDoesNotThrow(() -> prepare(new ByteTokenizer(), folder));
              }
            });
    assertThrows(FileSystemException.class, () -> prepare(overtaken, folder));
    Tokens kept = PreparedText.open(folder).tokens(Part.TRAINING, new ByteTokenizer());
    assertArrayEquals(all(CORPUS.tokens(Part.TRAINING, new ByteTokenizer())), all(kept));
  }

  @Test
  void aFailureRemovesItsOwnFilesAlone() throws IOException {
    Path folder = directory.resolve("tokens");
    Path foreign = folder.resolve("mine");
    AtomicInteger passages = new AtomicInteger();
    After failing =
        new After(
            () -> {
              if (passages.incrementAndGet() == 2000) {
                assertTrue(Files.exists(folder.resolve("training-00001.tokens")));
                assertDoesNotThrow(() -> Files.writeString(foreign, "mine"));
                throw new IllegalStateException("full");
              }
            });
    assertThrows(IllegalStateException.class, () -> prepare(failing, folder));
    assertArrayEquals(new String[] {"mine"}, folder.toFile().list());
    String message =
        assertThrows(IllegalArgumentException.class, () -> prepare(new ByteTokenizer(), folder))
            .getMessage();
    assertEquals(folder + " is not empty; choose an empty or new folder", message);
    assertEquals("mine", Files.readString(foreign));
  }

  @Test
  void aChangedDescriptionIsRefused() throws IOException {
    Path folder = directory.resolve("tokens");
    prepare(new ByteTokenizer(), folder);
    Path file = folder.resolve("data.json");
    String sound = Files.readString(file);
    for (String bad :
        List.of(
            sound.replace("\"tokenBytes\" : 2", "\"tokenBytes\" : 3"),
            sound.replaceAll("\"textSha256\" : \"..", "\"textSha256\" : \"zz"),
            sound.replaceAll("\"shardTokens\" : \\d+", "\"shardTokens\" : 0"),
            sound.replaceAll("\"trainingTokens\" : \\d+", "\"trainingTokens\" : -1"),
            "{}")) {
      Files.writeString(file, bad);
      String message =
          assertThrows(DataException.class, () -> PreparedText.open(folder)).getMessage();
      assertTrue(message.startsWith(file.toString()), message);
    }
  }

  private static PreparedText prepare(Tokenizer tokenizer, Path folder) throws IOException {
    return PreparedText.prepare(CORPUS, "a list", tokenizer, null, folder, PER_SHARD);
  }

  private static void refused(PreparedText prepared, String expected) {
    String message =
        assertThrows(DataException.class, () -> prepared.tokens(Part.TRAINING, new ByteTokenizer()))
            .getMessage();
    assertTrue(message.contains(expected), message);
    assertEquals(1, message.lines().count());
  }

  private static int[] all(Tokens tokens) {
    return IntStream.range(0, Math.toIntExact(tokens.size())).map(tokens::get).toArray();
  }
}
