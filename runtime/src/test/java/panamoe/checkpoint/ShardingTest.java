package panamoe.checkpoint;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import panamoe.tensor.DType;
import panamoe.tensor.Elements;

class ShardingTest {
  private record Sized(long bytes) implements Elements {
    @Override
    public DType dtype() {
      return DType.UINT8;
    }

    @Override
    public long[] shape() {
      return new long[] {bytes};
    }

    @Override
    public void readBy(Reader reader) {
      throw new UnsupportedOperationException("no elements are needed to cut");
    }
  }

  private static TreeMap<String, Elements> tensors(long... bytes) {
    TreeMap<String, Elements> tensors = new TreeMap<>();
    for (int i = 0; i < bytes.length; i++) {
      tensors.put("t" + i, new Sized(bytes[i]));
    }
    return tensors;
  }

  private static String cut(Sharding sharding, TreeMap<String, Elements> tensors) {
    List<String> parts = new ArrayList<>();
    List<String> names = new ArrayList<>();
    for (Map<String, Elements> part : sharding.cut(tensors)) {
      parts.add(part.values().stream().map(Elements::bytes).toList().toString().replace(" ", ""));
      names.addAll(part.keySet());
    }
    assertEquals(List.copyOf(tensors.keySet()), names);
    return String.join(" ", parts);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      textBlock =
          """
          1 | [3,3,3,3]
          2 | [3,3] [3,3]
          3 | [3,3] [3] [3]
          4 | [3] [3] [3] [3]
          9 | [3] [3] [3] [3]
          """)
  void equalTensorsIntoFiles(int files, String expected) {
    assertEquals(expected, cut(Sharding.files(files), tensors(3, 3, 3, 3)));
  }

  @Test
  void filesAreAsManyWhereverALargeTensorStands() {
    assertEquals("[100] [1] [1,1]", cut(Sharding.files(3), tensors(100, 1, 1, 1)));
    assertEquals("[1,1] [1] [100]", cut(Sharding.files(3), tensors(1, 1, 1, 100)));
    assertEquals("[]", cut(Sharding.files(3), tensors()));
    for (int files = 1; files <= 20; files++) {
      long[] bytes = new long[20];
      for (int i = 0; i < bytes.length; i++) {
        bytes[i] = i * 7 % 5 * i;
      }
      assertEquals(files, Sharding.files(files).cut(tensors(bytes)).size());
    }
  }

  @Test
  void boundedFilesHoldAtLeastOneTensor() {
    assertEquals("[9] [2,3] [1]", cut(Sharding.bounded(5), tensors(9, 2, 3, 1)));
    assertTrue(Sharding.bounded(5).cut(tensors()).getFirst().isEmpty());
  }
}
