package panamoe.tensor;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemoryLayout.PathElement;
import java.lang.foreign.StructLayout;
import java.util.List;
import org.junit.jupiter.api.Test;
import panamoe.bindings.Moe;
import panamoe.bindings.moe_tensor;

/** The layout in plain Java equals the bindings' layout of the C struct. */
class DescriptorTest {
  @Test
  void hasTheFieldsOfTheStructWhereTheyAre() {
    StructLayout struct = (StructLayout) moe_tensor.layout();
    assertEquals(names(struct), names(Descriptor.LAYOUT));
    for (String field : names(struct)) {
      PathElement path = PathElement.groupElement(field);
      assertEquals(struct.byteOffset(path), Descriptor.LAYOUT.byteOffset(path), field);
      assertEquals(
          struct.select(path).byteSize(), Descriptor.LAYOUT.select(path).byteSize(), field);
    }
    assertEquals(struct.byteSize(), Descriptor.LAYOUT.byteSize());
    assertEquals(Moe.MOE_MAX_RANK(), Descriptor.MAX_RANK);
  }

  private static List<String> names(StructLayout layout) {
    return layout.memberLayouts().stream()
        .map(MemoryLayout::name)
        .map(name -> name.orElse("padding"))
        .toList();
  }
}
