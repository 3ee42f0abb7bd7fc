package panamoe.checkpoint;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import panamoe.backend.HostMemory;
import panamoe.tensor.DType;
import panamoe.tensor.Elements;

class CheckpointTest extends SavedSamples {
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
    LoadReport report = read.readModel(checkpoint, false, true);
    read.readOptimizer(checkpoint);
    assertEquals(new LoadReport(6, 7 * 5 * 2 + 5 * 4 + 4 * 15 * 4, List.of()), report);
    assertTrue(read.sameAs(written));
    try (Shards model = checkpoint.model()) {
      assertEquals(
          "layers.1.moe.experts.3.up.weight F32[3, 5]",
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
    new CheckpointStore(directory, 1, Sharding.bounded(130), (operation, path) -> {})
        .save(written.at(1));
    Checkpoint checkpoint = Checkpoint.open(directory);
    assertTrue(
        Files.exists(checkpoint.directory().resolve("model-00001-of-00003.safetensors")),
        Disk.list(checkpoint.directory()).toString());
    read.readModel(checkpoint, false, true);
    read.readOptimizer(checkpoint);
    assertTrue(read.sameAs(written));
  }

  @Test
  void keepsTheNewest() {
    CheckpointStore store = new CheckpointStore(directory, 2);
    for (int step = 1; step <= 5; step++) {
      store.save(written.at(step));
    }
    assertEquals(
        List.of("step-00000004", "step-00000005"),
        store.checkpoints().stream().map(path -> path.getFileName().toString()).toList());
    assertEquals(5, Checkpoint.open(directory).step());
  }

  /** A reader opens the best one, a trainer goes on from the latest. */
  @Test
  void keepsTheBest() throws IOException {
    CheckpointStore store = new CheckpointStore(directory, 2);
    for (int step = 1; step <= 5; step++) {
      CheckpointContents contents = written.at(step);
      contents.state().put(CheckpointStore.BEST, Math.min(step, 2));
      store.save(contents);
    }
    assertEquals(
        List.of("step-00000002", "step-00000004", "step-00000005"),
        store.checkpoints().stream().map(path -> path.getFileName().toString()).toList());
    assertEquals(2, Checkpoint.open(directory).step());
    assertEquals(5, store.openLatest().orElseThrow().step());
    CheckpointContents better = written.at(6);
    better.state().put(CheckpointStore.BEST, 6);
    store.save(better);
    assertEquals(6, Checkpoint.open(directory).step());
    assertEquals(2, store.checkpoints().size());
  }

  @ParameterizedTest
  @CsvSource({
    "layers.1.moe.experts.3.up.weight, , missing layers.1.moe.experts.3.up.weight (layer 1; expert 3)",
    ", layers.1.moe.experts.4.up.weight, unexpected layers.1.moe.experts.4.up.weight (layer 1; expert 4)",
    "layers.1.moe.experts.3.up.weight, layers.1.moe.expert.3.up.weight, unexpected layers.1.moe.expert.3.up.weight",
  })
  void namesMissingAndUnexpectedTensors(String removed, String added, String expected) {
    Map<String, Elements> model = new LinkedHashMap<>(written.at(1).model());
    Elements some = model.get("layers.1.moe.experts.3.up.weight");
    model.remove(removed);
    if (added != null) {
      model.put(added, some);
    }
    saveModel(model);
    String message = refusal(checkpoint -> read.readModel(checkpoint, false, false));
    assertTrue(message.contains(expected.replace(';', ',')), message);
  }

  @Test
  void namesWrongShapesAndTypes() {
    Map<String, Elements> model = new LinkedHashMap<>(written.at(1).model());
    model.put("layers.0.norm.weight", scope.zeros(DType.FLOAT32, 6));
    model.put("embedding.weight", scope.zeros(DType.FLOAT32, 7, 5));
    model.put("layers.1.moe.experts.1.up.weight", scope.zeros(DType.FLOAT32));
    model.put("layers.1.moe.experts.2.up.weight", scope.zeros(DType.FLOAT32, 0, 5));
    saveModel(model);
    String message = refusal(checkpoint -> read.readModel(checkpoint, false, false));
    assertTrue(
        message.contains("layers.0.norm.weight (layer 0) has the shape [6], expected [5]"),
        message);
    assertTrue(message.contains("embedding.weight has the dtype F32, expected BF16"), message);
    assertTrue(message.contains("(layer 1, expert 1) has the shape [], expected [3, 5]"), message);
    assertTrue(
        message.contains("(layer 1, expert 2) has the shape [0, 5], expected [3, 5]"), message);
    assertTrue(
        read.model.values().stream().allMatch(tensor -> tensor.getFloat(0) == 0),
        "nothing was loaded");
  }

  @Test
  void listsTwentyMismatches() {
    Map<String, Elements> model = new LinkedHashMap<>(written.at(1).model());
    for (int i = 0; i < 50; i++) {
      model.put("layers.7.moe.experts." + i + ".up.weight", written.stacked);
    }
    saveModel(model);
    String message = refusal(checkpoint -> read.readModel(checkpoint, false, false));
    assertEquals(20, message.split("unexpected ", -1).length - 1);
    assertTrue(message.endsWith("; and 30 more"), message);
    LoadReport report = read.readModel(Checkpoint.open(directory), true, false);
    assertEquals(1, report.warnings().size());
    assertTrue(report.warnings().getFirst().contains("not read"), report.warnings().getFirst());
    assertEquals(-1, read.stacked.data().mismatch(written.stacked.data()));
  }

  @Test
  void extraToleranceIsForExtraTensorsOnly() {
    saveModel(Map.of("other", written.stacked));
    String message = refusal(checkpoint -> read.readModel(checkpoint, true, false));
    assertTrue(message.contains("missing") && !message.contains("unexpected"), message);
  }

  @Test
  void warnsOfValuesThatAreNotFinite() {
    CheckpointContents contents = written.at(1);
    written.stacked.setFloat(16, Float.NaN);
    written.stacked.setFloat(17, Float.NEGATIVE_INFINITY);
    written.model.get("embedding.weight").setFloat(3, Float.NaN);
    new CheckpointStore(directory, 1).save(contents);
    List<String> warnings = read.readModel(Checkpoint.open(directory), false, false).warnings();
    assertEquals(1, warnings.size());
    assertTrue(
        warnings
            .getFirst()
            .endsWith(
                "3 NaN or infinite values in 2 tensors, the first: embedding.weight (1 values)"),
        warnings.getFirst());
    String message = refusal(checkpoint -> read.readModel(checkpoint, false, true));
    assertTrue(message.contains("3 NaN or infinite values"), message);
  }

  /** A locale's own digits must not appear in names. */
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
    checkpoint.requireFits(DType.FLOAT32, HostMemory.available());
    String message = refusal(opened -> opened.requireFits(DType.FLOAT32, 100));
    assertTrue(
        message.contains("needs " + checkpoint.modelBytes() + " bytes, but only 100 are available"),
        message);
  }

  /** 70 bytes of embedding, 20 of a norm, and four experts of 60 bytes. */
  @ParameterizedTest
  @CsvSource({
    "329, EP >= 2",
    "210, EP >= 2",
    "209, EP >= 4",
    "150, EP >= 4",
    "149, would not fit with its experts"
  })
  void saysOverHowManyRanksItWouldFit(long available, String expected) {
    save(1);
    String message = refusal(checkpoint -> checkpoint.requireFits(DType.FLOAT32, available));
    assertTrue(message.contains(expected), message);
  }

  /** Renames like a save's, without waiting for a disk. */
  @Test
  void aReaderBesideRapidSavesTakesTheNewest() throws Exception {
    AtomicLong published = new AtomicLong();
    Files.createDirectories(directory);
    CompletableFuture<Void> saves =
        CompletableFuture.runAsync(
            () -> {
              for (long step = 1; step <= 3000; step++) {
                publish(step);
                published.set(step);
              }
            },
            work -> Thread.ofPlatform().start(work));
    CheckpointStore store = new CheckpointStore(directory, 2);
    while (!saves.isDone()) {
      long before = published.get();
      Optional<Path> latest = store.latest();
      if (before > 0) {
        long step = Long.parseLong(latest.orElseThrow().getFileName().toString().substring(5));
        assertTrue(step >= before, step + " is older than " + before);
      }
    }
    saves.join();
  }

  private void publish(long step) {
    try {
      Path hidden = Files.createDirectory(directory.resolve(".next"));
      Files.move(hidden, directory.resolve("step-%08d".formatted(step)));
      Path pointer = Files.writeString(directory.resolve(".latest"), "step-%08d".formatted(step));
      Files.move(pointer, directory.resolve("latest"), StandardCopyOption.ATOMIC_MOVE);
      Files.deleteIfExists(directory.resolve("step-%08d".formatted(step - 2)));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  @Test
  void nothingThere() throws IOException {
    String sought =
        ": no checkpoint (manifest.json or step-* folders), no released model (config.json with a"
            + " model_type)";
    assertEquals(directory + " holds nothing" + sought, refusalOf(directory));
    Path absent = directory.resolve("absent");
    String expected =
        ", expected the folder of a run, a checkpoint or a released model, or a file *.gguf";
    assertEquals(absent + " does not exist" + expected, refusalOf(absent));
    assertTrue(
        refusalOf(Files.createFile(directory.resolve("file"))).contains("is not a directory"));
    Path foreign = Files.writeString(directory.resolve("model.gguf"), "GGUF and more");
    assertEquals(foreign + " is a GGUF file" + expected, refusalOf(foreign));
    assertEquals(directory + " holds file, model.gguf" + sought, refusalOf(directory));
    Files.createFile(directory.resolve("notes"));
    Files.createFile(directory.resolve("other"));
    assertEquals(
        directory + " holds file, model.gguf, notes and 1 more" + sought, refusalOf(directory));
    assertFalse(new CheckpointStore(directory, 1).latest().isPresent());
  }

  private void saveModel(Map<String, Elements> model) {
    CheckpointContents some = written.at(1);
    new CheckpointStore(directory, 10)
        .save(
            new CheckpointContents(
                1, some.config(), some.state(), some.experts(), model, some.optimizer()));
  }
}
