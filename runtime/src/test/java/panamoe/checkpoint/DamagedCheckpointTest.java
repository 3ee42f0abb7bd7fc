package panamoe.checkpoint;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTimeoutPreemptively;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.security.MessageDigest;
import java.time.Duration;
import java.util.Arrays;
import java.util.Map;
import java.util.Random;
import java.util.function.Consumer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import panamoe.io.Sha256;
import panamoe.io.StrictJson;
import panamoe.testkit.CpuTime;
import tools.jackson.databind.node.ObjectNode;

/** Checkpoints that were cut, changed, replaced or forged since they were saved. */
class DamagedCheckpointTest extends SavedSamples {
  @ParameterizedTest
  @ValueSource(
      strings = {
        "model.safetensors",
        "optimizer.safetensors",
        "config.json",
        "state.json",
        "manifest.json"
      })
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
      CheckpointException e =
          assertThrows(CheckpointException.class, () -> Checkpoint.open(file.getParent()).verify());
      assertTrue(e.getMessage().contains(file.getParent().toString()), e.getMessage());
    }
  }

  @Test
  void findsTruncatedMissingAndReplacedFiles() throws IOException {
    Path file = save(1).resolve("model.safetensors");
    byte[] content = Files.readAllBytes(file);
    Files.write(file, Arrays.copyOf(content, content.length - 1));
    assertTrue(
        refusal(Checkpoint::verify)
            .contains(
                "model.safetensors has "
                    + (content.length - 1)
                    + " bytes, expected "
                    + content.length));
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
  @ValueSource(strings = {"model.safetensors", "manifest.json", "../latest"})
  void aPipeIsRefusedAndNotWaitedFor(String name) throws Exception {
    Path file = save(1).resolve(name).normalize();
    Files.delete(file);
    assertEquals(0, new ProcessBuilder("mkfifo", file.toString()).start().waitFor());
    String message = assertTimeoutPreemptively(Duration.ofMinutes(1), () -> refusalOf(directory));
    assertTrue(message.startsWith(file + " is a device or pipe, not a regular file"), message);
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
  void aDamagedLatestIsRefusedWithTheNameOfTheIntactOneBesideIt() throws IOException {
    save(1);
    Path broken = save(2);
    Files.delete(broken.resolve("optimizer.safetensors"));
    assertEquals(
        broken.resolve("optimizer.safetensors")
            + " does not exist; "
            + directory.resolve("step-00000001")
            + " beside it is intact: take that one, or move step-00000002 out of the folder to go on from there",
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
    String hint =
        " beside it is intact: take that one, or move step-00000003 out of the folder to go on from there";
    assertTrue(
        refusal(Checkpoint::verify).endsWith("; " + older + hint), refusal(Checkpoint::verify));
    flipLastByte(older.resolve("optimizer.safetensors"));
    assertTrue(
        refusal(Checkpoint::verify).endsWith("; " + oldest + hint), refusal(Checkpoint::verify));
    flipLastByte(oldest.resolve("state.json"));
    assertFalse(refusal(Checkpoint::verify).contains("beside"), refusal(Checkpoint::verify));
  }

  @Test
  void bytesFlippedDuringTheReadAreFound() throws IOException {
    Path file = save(1).resolve("model.safetensors");
    Checkpoint opened = Checkpoint.open(directory);
    try (FileChannel channel = FileChannel.open(file, StandardOpenOption.WRITE)) {
      channel.write(ByteBuffer.wrap(new byte[] {1, 2, 3}), channel.size() - 3);
    }
    CheckpointException e =
        assertThrows(CheckpointException.class, () -> read.readModel(opened, false, false));
    assertTrue(
        e.getMessage().contains("model.safetensors was changed since it was saved"),
        e.getMessage());
  }

  @Test
  void aLargeFileOfAnotherModelIsRefusedWithoutReadingIt() throws IOException {
    Path saved = save(1);
    Path file = saved.resolve("model.safetensors");
    byte[] content = Files.readAllBytes(file);
    int header = ByteBuffer.wrap(content).order(ByteOrder.LITTLE_ENDIAN).getInt();
    ObjectNode tensors = (ObjectNode) StrictJson.tree(Arrays.copyOfRange(content, 8, 8 + header));
    long data = content.length - 8L - header;
    long more = 8L << 30;
    ObjectNode extra = tensors.putObject("zeros").put("dtype", "F32");
    extra.putArray("shape").add(more / 4);
    extra.putArray("data_offsets").add(data).add(data + more);
    byte[] json = tensors.toString().getBytes(UTF_8);
    try (RandomAccessFile sparse = new RandomAccessFile(file.toFile(), "rw")) {
      sparse.write(
          ByteBuffer.allocate(8).order(ByteOrder.LITTLE_ENDIAN).putLong(json.length).array());
      sparse.write(json);
      sparse.write(content, 8 + header, (int) data);
      sparse.setLength(8 + json.length + data + more);
    }
    rewriteManifest(
        saved,
        manifest ->
            ((ObjectNode) manifest.path("files").path("model.safetensors"))
                .put("size", file.toFile().length()));
    String message =
        CpuTime.assertWithin(
            Duration.ofSeconds(10),
            () -> refusal(checkpoint -> read.readModel(checkpoint, false, true)));
    assertTrue(message.contains("zeros"), message);
  }

  @Test
  void theCrcOfWhatWasReadIsCompared() throws IOException {
    Path saved = save(1);
    rewriteManifest(
        saved,
        manifest ->
            ((ObjectNode) manifest.path("files").path("model.safetensors"))
                .put("crc32c", "00000000"));
    String message = refusal(checkpoint -> read.readModel(checkpoint, false, true));
    assertTrue(
        message.contains("model.safetensors gave other bytes than were saved: their CRC-32C is "),
        message);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "../../etc/passwd",
        "/etc/passwd",
        "a/b.safetensors",
        "..",
        ".hidden",
        "",
        "a\\u0000b"
      })
  void manifestNamesPlainFilesOnly(String name) throws IOException {
    rewriteManifest(
        save(1),
        manifest ->
            ((ObjectNode) manifest.path("files"))
                .putObject(name.replace("\\u0000", "\0"))
                .put("size", 1)
                .put("sha256", "0".repeat(64))
                .put("crc32c", "00000000"));
    assertTrue(refusalOf(directory.resolve("step-00000001")).contains("not a plain file name"));
  }

  @Test
  void manifestOfAnotherVersionOrWithUnknownFields() throws IOException {
    Path saved = save(1);
    byte[] original = Files.readAllBytes(saved.resolve("manifest.json"));
    Map<String, Consumer<ObjectNode>> changes =
        Map.of(
            "has the version 2; this version of Panamoe reads version 1",
            manifest -> manifest.put("version", 2),
            "has the version 1.5; this version of Panamoe reads version 1",
            manifest -> manifest.put("version", 1.5),
            "unknown key \"rank\" at ",
            manifest -> manifest.put("rank", -1),
            "has the format \"other\", expected",
            manifest -> manifest.put("format", "other"),
            "step is -1, expected 0 or more",
            manifest -> manifest.put("step", -1),
            "experts[0]: expected a whole number",
            manifest -> manifest.putArray("experts").add(1.5),
            "files.config.json.size: expected a whole number",
            manifest ->
                ((ObjectNode) manifest.path("files").path("config.json")).put("size", "big"),
            "files.config.json: sha256 is 'abc', expected 64 hexadecimal digits",
            manifest ->
                ((ObjectNode) manifest.path("files").path("config.json")).put("sha256", "abc"),
            "files.state.json.crc32c: this key is missing",
            manifest -> ((ObjectNode) manifest.path("files").path("state.json")).remove("crc32c"),
            "lists a shard that is absent.safetensors does not exist",
            manifest ->
                ((ObjectNode) manifest.path("files"))
                    .putObject("absent.safetensors")
                    .put("size", 1)
                    .put("sha256", "0".repeat(64))
                    .put("crc32c", "00000000"));
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
    Path copy =
        Files.copy(
            saved.resolve("model.safetensors"), saved.resolve("model-00002-of-00002.safetensors"));
    rewriteManifest(
        saved,
        manifest -> {
          ObjectNode files = (ObjectNode) manifest.path("files");
          files.set(copy.getFileName().toString(), files.get("model.safetensors").deepCopy());
        });
    String message = refusal(checkpoint -> read.readModel(checkpoint, false, false));
    assertTrue(
        message.contains("is both in") && message.contains("tensor embedding.weight"), message);
  }

  private static void flipLastByte(Path file) throws IOException {
    byte[] bytes = Files.readAllBytes(file);
    bytes[bytes.length - 1] ^= 1;
    Files.write(file, bytes);
  }

  /** Changes a manifest as an attacker would: with a checksum that is right again. */
  private static void rewriteManifest(Path checkpoint, Consumer<ObjectNode> change)
      throws IOException {
    Path path = checkpoint.resolve("manifest.json");
    ObjectNode manifest = SavedFile.object(path, 1 << 20);
    manifest.remove("sha256");
    change.accept(manifest);
    MessageDigest digest = Sha256.digest();
    digest.update(StrictJson.bytes(manifest));
    manifest.put("sha256", Sha256.hex(digest));
    Files.write(path, StrictJson.bytes(manifest));
  }
}
