package panamoe.lab.conformance;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import panamoe.backend.Backend;
import panamoe.backend.reference.ReferenceBackend;
import panamoe.lab.conformance.replay.CaseResult;
import panamoe.lab.conformance.replay.Conformance;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * Tests that a case with changed shapes or settings passes or fails with a message, never with a
 * raw exception.
 */
class MutatedCasesTest {
  private static final JsonMapper JSON = JsonMapper.shared();
  private static final int MUTATIONS = 6;
  // A null inside a setting's JSON belongs to the case.
  private static final Pattern RAW =
      Pattern.compile(
          "out of bounds|by zero|Exception|cannot be cast|Cannot invoke|^-?\\d+$|null(?![,}])|overflow");

  @TempDir private Path folder;

  @Test
  void aChangedCaseFailsInWords() throws Exception {
    Path golden = RecordedCasesTest.folder();
    Random random = new Random(11);
    int failed = 0;
    int misfits = 0;
    try (Backend backend = new ReferenceBackend()) {
      Conformance conformance = new Conformance(folder, backend, CaseKinds::of);
      for (Path recorded : Conformance.cases(golden)) {
        if (Files.size(recorded) > 1 << 18) {
          continue; // small cases suffice
        }
        for (int i = 0; i < MUTATIONS; i++) {
          Path file = folder.resolve(i + "-" + recorded.getFileName());
          mutate(recorded, file, random);
          CaseResult result = conformance.replay(file);
          Files.delete(file);
          for (String failure : result.failures()) {
            assertFalse(RAW.matcher(failure).find(), file + ": " + failure);
          }
          failed += result.passed() ? 0 : 1;
          misfits +=
              result.failures().stream().anyMatch(each -> each.contains("do not fit together"))
                  ? 1
                  : 0;
        }
      }
    }
    assertTrue(
        failed > 50 && misfits > 5, failed + " failed, " + misfits + " because they did not fit");
  }

  /** Changes one shape with equally many elements, or one setting. */
  private static void mutate(Path from, Path to, Random random) throws IOException {
    ByteBuffer all = ByteBuffer.wrap(Files.readAllBytes(from)).order(ByteOrder.LITTLE_ENDIAN);
    byte[] json = new byte[(int) all.getLong()];
    all.get(json);
    ObjectNode header = (ObjectNode) JSON.readTree(json);
    ObjectNode metadata = (ObjectNode) header.get("__metadata__");
    ObjectNode settings = (ObjectNode) JSON.readTree(metadata.path("golden").asString("{}"));
    if (random.nextInt(3) == 0 && !settings.isEmpty()) {
      List<Map.Entry<String, JsonNode>> entries = new ArrayList<>(settings.properties());
      Map.Entry<String, JsonNode> entry = entries.get(random.nextInt(entries.size()));
      switch (random.nextInt(5)) {
        case 0 -> settings.remove(entry.getKey());
        case 1 -> settings.put(entry.getKey(), 0);
        case 2 -> settings.put(entry.getKey(), -1);
        case 3 -> settings.put(entry.getKey(), 3);
        default -> settings.put(entry.getKey(), "none");
      }
      metadata.put("golden", settings.toString());
    } else {
      List<String> names = new ArrayList<>();
      header.propertyNames().forEach(names::add);
      names.remove("__metadata__");
      reshape((ObjectNode) header.get(names.get(random.nextInt(names.size()))), random);
    }
    byte[] changed = header.toString().getBytes(UTF_8);
    ByteBuffer out =
        ByteBuffer.allocate(Long.BYTES + changed.length + all.remaining())
            .order(ByteOrder.LITTLE_ENDIAN);
    out.putLong(changed.length).put(changed).put(all);
    Files.write(to, out.array());
  }

  private static void reshape(ObjectNode tensor, Random random) {
    long count = 1;
    List<Long> shape = new ArrayList<>();
    for (JsonNode size : tensor.get("shape")) {
      shape.add(size.asLong());
      count *= size.asLong();
    }
    ArrayNode other = tensor.putArray("shape");
    switch (random.nextInt(4)) {
      case 0 -> other.add(count);
      case 1 -> shape.reversed().forEach(other::add);
      case 2 -> other.add(1).add(count);
      default -> other.add(count % 2 == 0 ? 2 : 1).add(count % 2 == 0 ? count / 2 : count);
    }
  }
}
