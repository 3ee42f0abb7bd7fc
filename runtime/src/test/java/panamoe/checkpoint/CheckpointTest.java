package panamoe.checkpoint;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTimeoutPreemptively;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.security.MessageDigest;
import java.time.Duration;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Random;
import java.util.function.Consumer;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import panamoe.backend.HostMemory;
import panamoe.io.Sha256;
import panamoe.io.StrictJson;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorScope;

class CheckpointTest {
  private final TensorScope scope = TensorScope.confined(new ArenaMemory());
  private final SampleContents written = new SampleContents(scope);
  private final SampleContents read = new SampleContents(scope);

  @TempDir
  private Path directory;

  @AfterEach
  void close() {
    scope.close();
  }

  @Test
  void restoresWhatWasSaved() {
    Path saved = save(12);
    Checkpoint checkpoint = Checkpoint.open(directory);
    assertEquals("step-00000012", saved.getFileName().toString());
    assertEquals(saved, checkpoint.directory());
    assertEquals(12, checkpoint.step());
    assertEquals(List.of(0, 4), checkpoint.experts());
    assertEquals(5, checkpoint.config().path("hidden").asInt());
    assertEquals(1200, checkpoint.state().path("tokens").asInt());
    checkpoint.verify();
    LoadReport report = checkpoint.loadModel(read.model, false, true);
    read.readOptimizer(checkpoint);
    assertEquals(new LoadReport(6, 7 * 5 * 2 + 5 * 4 + 4 * 15 * 4, List.of()), report);
    assertTrue(read.sameAs(written));
    try (Shards model = checkpoint.model()) {
      assertEquals("layers.1.moe.experts.3.up.weight F32[3, 5]",
          model.tensors().get("layers.1.moe.experts.3.up.weight").toString());
    }
  }

  @Test
  void equalContentsGiveEqualFiles() throws IOException {
    Path first = save(3);
    Path second = save(3);
    assertEquals("step-00000003-2", second.getFileName().toString());
    for (Path file : Disk.list(first)) {
      assertEquals(-1, Files.mismatch(file, second.resolve(file.getFileName())), file.toString());
    }
  }

  @Test
  void shardsBeyondTheLimit() throws IOException {
    new CheckpointStore(directory, 1, 130, (operation, path) -> {}).save(written.at(1));
    Checkpoint checkpoint = Checkpoint.open(directory);
    assertTrue(Files.exists(checkpoint.directory().resolve("model-00001-of-00003.safetensors")),
        Disk.list(checkpoint.directory()).toString());
    checkpoint.loadModel(read.model, false, true);
    read.readOptimizer(checkpoint);
    assertTrue(read.sameAs(written));
  }

  @Test
  void keepsTheNewest() {
    CheckpointStore store = new CheckpointStore(directory, 2);
    for (int step = 1; step <= 5; step++) {
      store.save(written.at(step));
    }
    assertEquals(List.of("step-00000004", "step-00000005"),
        store.checkpoints().stream().map(path -> path.getFileName().toString()).toList());
    assertEquals(5, Checkpoint.open(directory).step());
  }

  @ParameterizedTest
  @CsvSource({
      "layers.1.moe.experts.3.up.weight, , missing layers.1.moe.experts.3.up.weight (layer 1; expert 3)",
      ", layers.1.moe.experts.4.up.weight, unexpected layers.1.moe.experts.4.up.weight (layer 1; expert 4)",
      "layers.1.moe.experts.3.up.weight, layers.1.moe.expert.3.up.weight, unexpected layers.1.moe.expert.3.up.weight",
  })
  void namesMissingAndUnexpectedTensors(String removed, String added, String expected) {
    Map<String, Tensor> model = new LinkedHashMap<>(written.at(1).model());
    Tensor some = model.get("layers.1.moe.experts.3.up.weight");
    model.remove(removed);
    if (added != null) {
      model.put(added, some);
    }
    saveModel(model);
    String message = refusal(checkpoint -> checkpoint.loadModel(read.model, false, false));
    assertTrue(message.contains(expected.replace(';', ',')), message);
  }

  @Test
  void namesWrongShapesAndTypes() {
    Map<String, Tensor> model = new LinkedHashMap<>(written.at(1).model());
    model.put("layers.0.norm.weight", scope.zeros(DType.FLOAT32, 6));
    model.put("embedding.weight", scope.zeros(DType.FLOAT32, 7, 5));
    model.put("layers.1.moe.experts.1.up.weight", scope.zeros(DType.FLOAT32));
    model.put("layers.1.moe.experts.2.up.weight", scope.zeros(DType.FLOAT32, 0, 5));
    saveModel(model);
    String message = refusal(checkpoint -> checkpoint.loadModel(read.model, false, false));
    assertTrue(message.contains("layers.0.norm.weight (layer 0) has the shape [6], expected [5]"), message);
    assertTrue(message.contains("embedding.weight has the dtype F32, expected BF16"), message);
    assertTrue(message.contains("(layer 1, expert 1) has the shape [], expected [3, 5]"), message);
    assertTrue(message.contains("(layer 1, expert 2) has the shape [0, 5], expected [3, 5]"), message);
    assertTrue(read.model.values().stream().allMatch(tensor -> tensor.getFloat(0) == 0), "nothing was loaded");
  }

  @Test
  void listsTwentyMismatches() {
    Map<String, Tensor> model = new LinkedHashMap<>(written.at(1).model());
    for (int i = 0; i < 50; i++) {
      model.put("layers.7.moe.experts." + i + ".up.weight", written.stacked);
    }
    saveModel(model);
    String message = refusal(checkpoint -> checkpoint.loadModel(read.model, false, false));
    assertEquals(20, message.split("unexpected ", -1).length - 1);
    assertTrue(message.endsWith("; and 30 more"), message);
    LoadReport report = Checkpoint.open(directory).loadModel(read.model, true, false);
    assertEquals(1, report.warnings().size());
    assertTrue(report.warnings().getFirst().contains("not read"), report.warnings().getFirst());
    assertEquals(-1, read.stacked.data().mismatch(written.stacked.data()));
  }

  @Test
  void extraToleranceIsForExtraTensorsOnly() {
    saveModel(Map.of("other", written.stacked));
    String message = refusal(checkpoint -> checkpoint.loadModel(read.model, true, false));
    assertTrue(message.contains("missing") && !message.contains("unexpected"), message);
  }

  @Test
  void warnsOfValuesThatAreNotFinite() {
    CheckpointContents contents = written.at(1);
    written.stacked.setFloat(16, Float.NaN);
    written.stacked.setFloat(17, Float.NEGATIVE_INFINITY);
    written.model.get("embedding.weight").setFloat(3, Float.NaN);
    new CheckpointStore(directory, 1).save(contents);
    List<String> warnings = Checkpoint.open(directory).loadModel(read.model, false, false).warnings();
    assertEquals(1, warnings.size());
    assertTrue(warnings.getFirst().endsWith(
        "3 NaN or infinite values in 2 tensors, the first: embedding.weight (1 values)"), warnings.getFirst());
    String message = refusal(checkpoint -> checkpoint.loadModel(read.model, false, true));
    assertTrue(message.contains("3 NaN or infinite values"), message);
  }

  @ParameterizedTest
  @ValueSource(strings = {
      "model.safetensors", "optimizer.safetensors", "config.json", "state.json", "manifest.json"})
  void findsAnyFlippedByte(String name) throws IOException {
    Path file = save(1).resolve(name);
    byte[] content = Files.readAllBytes(file);
    Random random = new Random(5);
    for (int i = 0; i < 100; i++) {
      byte[] flipped = content.clone();
      int at = random.nextInt(flipped.length);
      flipped[at] ^= (byte) (1 << random.nextInt(7));
      if (Character.isWhitespace(content[at]) && Character.isWhitespace(flipped[at])) {
        continue; // Another blank between two fields of a manifest is no other manifest.
      }
      Files.write(file, flipped);
      CheckpointException e = assertThrows(CheckpointException.class, () -> Checkpoint.open(file.getParent()).verify());
      assertTrue(e.getMessage().contains(file.getParent().toString()), e.getMessage());
    }
  }

  @Test
  void findsTruncatedMissingAndReplacedFiles() throws IOException {
    Path file = save(1).resolve("model.safetensors");
    byte[] content = Files.readAllBytes(file);
    Files.write(file, Arrays.copyOf(content, content.length - 1));
    assertTrue(refusal(Checkpoint::verify).contains(
        "model.safetensors has " + (content.length - 1) + " bytes, expected " + content.length));
    Files.delete(file);
    assertTrue(refusal(Checkpoint::verify).contains("model.safetensors does not exist"));
    Path other = Files.write(directory.resolve("other"), content);
    Files.createSymbolicLink(file, other);
    assertTrue(refusal(Checkpoint::verify).contains("is a symbolic link"));
    Files.delete(file);
    Files.createLink(file, other);
    assertTrue(refusal(Checkpoint::verify).contains("has 2 hard links"));
    Files.delete(file);
    Files.createDirectory(file);
    assertTrue(refusal(Checkpoint::verify).contains("is a directory"));
  }

  @ParameterizedTest
  @ValueSource(strings = {"model.safetensors", "manifest.json"})
  void aPipeIsRefusedAndNotWaitedFor(String name) throws Exception {
    Path file = save(1).resolve(name);
    Files.delete(file);
    assertEquals(0, new ProcessBuilder("mkfifo", file.toString()).start().waitFor());
    String message = assertTimeoutPreemptively(Duration.ofSeconds(5), () -> refusal(Checkpoint::verify));
    assertTrue(message.contains(file + " is a device or pipe"), message);
  }

  @Test
  void goesOnFromTheNewestWhereTheirPointerIsGoneOrWrong() throws IOException {
    save(1);
    save(2);
    Files.writeString(directory.resolve("latest"), "../../etc");
    assertEquals(2, Checkpoint.open(directory).step());
    Files.delete(directory.resolve("latest"));
    assertEquals(2, Checkpoint.open(directory).step());
  }

  @Test
  void aDamagedLatestIsRefusedWithTheNameOfTheWholeOneBesideIt() throws IOException {
    save(1);
    Path broken = save(2);
    Files.delete(broken.resolve("optimizer.safetensors"));
    assertEquals(
        broken.resolve("optimizer.safetensors")
            + " does not exist; step-00000001 beside it is whole: delete step-00000002 to go on from there",
        refusalOf(directory));
    Files.delete(directory.resolve("step-00000001/state.json"));
    assertEquals(broken.resolve("optimizer.safetensors") + " does not exist", refusalOf(directory));
  }

  @Test
  void oneChangedByteIsRefusedWithTheNameOfTheNewestIntactOneBesideIt() throws IOException {
    Path oldest = new CheckpointStore(directory, 4).save(written.at(1)).directory();
    Path older = new CheckpointStore(directory, 4).save(written.at(2)).directory();
    Path newest = new CheckpointStore(directory, 4).save(written.at(3)).directory();
    flipLastByte(newest.resolve("model.safetensors"));
    String hint = " beside it is intact: take that one, or delete step-00000003 to go on from there";
    assertTrue(refusal(Checkpoint::verify).endsWith("; " + older + hint), refusal(Checkpoint::verify));
    flipLastByte(older.resolve("optimizer.safetensors"));
    assertTrue(refusal(Checkpoint::verify).endsWith("; " + oldest + hint), refusal(Checkpoint::verify));
    flipLastByte(oldest.resolve("state.json"));
    assertFalse(refusal(Checkpoint::verify).contains("beside"), refusal(Checkpoint::verify));
  }

  private static void flipLastByte(Path file) throws IOException {
    byte[] bytes = Files.readAllBytes(file);
    bytes[bytes.length - 1] ^= 1;
    Files.write(file, bytes);
  }

  @Test
  void bytesFlippedDuringTheReadAreFound() throws IOException {
    Path file = save(1).resolve("model.safetensors");
    Checkpoint opened = Checkpoint.open(directory);
    try (FileChannel channel = FileChannel.open(file, StandardOpenOption.WRITE)) {
      channel.write(ByteBuffer.wrap(new byte[] {1, 2, 3}), channel.size() - 3);
    }
    CheckpointException e =
        assertThrows(CheckpointException.class, () -> opened.loadModel(read.model, false, false));
    assertTrue(e.getMessage().contains("model.safetensors was changed since it was saved"), e.getMessage());
  }

  @ParameterizedTest
  @ValueSource(strings = {"../../etc/passwd", "/etc/passwd", "a/b.safetensors", "..", ".hidden", "", "a\\u0000b"})
  void manifestNamesPlainFilesOnly(String name) throws IOException {
    rewriteManifest(save(1), manifest -> ((ObjectNode) manifest.path("files"))
        .putObject(name.replace("\\u0000", "\0")).put("size", 1).put("sha256", "0".repeat(64)));
    assertTrue(refusalOf(directory.resolve("step-00000001")).contains("not a plain file name"));
  }

  @Test
  void manifestOfAnotherVersionOrWithUnknownFields() throws IOException {
    Path saved = save(1);
    byte[] original = Files.readAllBytes(saved.resolve("manifest.json"));
    Map<String, Consumer<ObjectNode>> changes = Map.of(
        "has the version 2; this version of Panamoe reads version 1", manifest -> manifest.put("version", 2),
        "unknown field rank", manifest -> manifest.put("rank", -1),
        "bad field format", manifest -> manifest.put("format", "other"),
        "bad field step", manifest -> manifest.put("step", -1),
        "bad field experts", manifest -> manifest.putArray("experts").add(1.5),
        "bad field files.config.json.size",
        manifest -> ((ObjectNode) manifest.path("files").path("config.json")).put("size", "big"),
        "bad field files.config.json.sha256",
        manifest -> ((ObjectNode) manifest.path("files").path("config.json")).put("sha256", "abc"),
        "lists a shard that is absent.safetensors does not exist", manifest -> ((ObjectNode) manifest.path("files"))
            .putObject("absent.safetensors").put("size", 1).put("sha256", "0".repeat(64)));
    for (Map.Entry<String, Consumer<ObjectNode>> change : changes.entrySet()) {
      Files.write(saved.resolve("manifest.json"), original);
      rewriteManifest(saved, change.getValue());
      String message = refusalOf(saved);
      assertTrue(message.contains(change.getKey().replace("lists a shard that is ", "")), message);
    }
  }

  @Test
  void sameTensorInTwoShards() throws IOException {
    Path saved = save(1);
    Path copy = Files.copy(saved.resolve("model.safetensors"), saved.resolve("model-00002-of-00002.safetensors"));
    rewriteManifest(saved, manifest -> ((ObjectNode) manifest.path("files")).putObject(copy.getFileName().toString())
        .put("size", size(copy)).put("sha256", RegularFile.sha256(copy)));
    String message = refusal(checkpoint -> checkpoint.loadModel(read.model, false, false));
    assertTrue(message.contains("is both in") && message.contains("tensor embedding.weight"), message);
  }

  /** Some languages have digits of their own, in which no checkpoint would be found again. */
  @Test
  void isFoundAgainWhateverTheLanguage() {
    Locale before = Locale.getDefault(Locale.Category.FORMAT);
    Locale.setDefault(Locale.Category.FORMAT, Locale.forLanguageTag("ar-EG"));
    try {
      save(12);
      assertEquals(12, Checkpoint.open(directory).step());
    } finally {
      Locale.setDefault(Locale.Category.FORMAT, before);
    }
  }

  @Test
  void refusesWhatDoesNotFitTheMemory() {
    save(1);
    Checkpoint checkpoint = Checkpoint.open(directory);
    checkpoint.requireFits(HostMemory.available());
    String message = refusal(opened -> opened.requireFits(100));
    assertTrue(message.contains("needs " + checkpoint.modelBytes() + " bytes, but only 100 are available"), message);
  }

  /** 70 bytes of embedding, 20 of a norm, and four experts of 60 bytes. */
  @ParameterizedTest
  @CsvSource({"329, EP >= 2", "210, EP >= 2", "209, EP >= 4", "150, EP >= 4", "149, would not fit with its experts"})
  void saysOverHowManyRanksItWouldFit(long available, String expected) {
    save(1);
    String message = refusal(checkpoint -> checkpoint.requireFits(available));
    assertTrue(message.contains(expected), message);
  }

  @Test
  void nothingThere() throws IOException {
    assertTrue(refusalOf(directory).contains("holds no checkpoint"));
    assertTrue(refusalOf(directory.resolve("absent")).contains("does not exist"));
    assertTrue(refusalOf(Files.createFile(directory.resolve("file"))).contains("is not a directory"));
    Path foreign = Files.writeString(directory.resolve("model.gguf"), "GGUF and more");
    assertEquals(foreign + " is a GGUF file, expected a checkpoint", refusalOf(foreign));
    assertFalse(new CheckpointStore(directory, 1).latest().isPresent());
  }

  private Path save(long step) {
    return new CheckpointStore(directory, 10).save(written.at(step)).directory();
  }

  private void saveModel(Map<String, Tensor> model) {
    CheckpointContents some = written.at(1);
    new CheckpointStore(directory, 10).save(new CheckpointContents(
        1, some.config(), some.state(), some.experts(), model, some.optimizer()));
  }

  private String refusal(Consumer<Checkpoint> action) {
    Path newest = new CheckpointStore(directory, 1).checkpoints().getLast();
    return assertThrows(CheckpointException.class, () -> action.accept(Checkpoint.open(newest))).getMessage();
  }

  private static String refusalOf(Path path) {
    return assertThrows(CheckpointException.class, () -> Checkpoint.open(path)).getMessage();
  }

  /** Changes a manifest as an attacker would: with a checksum that is right again. */
  private static void rewriteManifest(Path checkpoint, Consumer<ObjectNode> change) throws IOException {
    Path path = checkpoint.resolve("manifest.json");
    ObjectNode manifest = RegularFile.object(path, 1 << 20);
    manifest.remove("sha256");
    change.accept(manifest);
    MessageDigest digest = Sha256.digest();
    digest.update(StrictJson.bytes(manifest));
    manifest.put("sha256", Sha256.hex(digest));
    Files.write(path, StrictJson.bytes(manifest));
  }

  private static long size(Path path) {
    try {
      return Files.size(path);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
