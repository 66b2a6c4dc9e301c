// What a library's own copy of libgcc's unwinder needs, beside others in the process (release.cmake).
#include <dlfcn.h>
#include <link.h>

namespace {

// A copy learns the sizes of the registers when it throws for the first time. Before that it aborts where an exception
// of another library passes through this one, so each throws one as it is loaded.
__attribute__((constructor)) void prepare_unwinder() {
  try {
    throw 0;
  } catch (int) {
  }
}

}  // namespace

// glibc 2.35's _dl_find_object, for libraries that also load with glibc 2.34: a libgcc that was built with a newer
// glibc finds a function's unwinding table by it. The linker takes this one, which no other library sees.
#if __GLIBC_PREREQ(2, 35)

namespace {

struct Search {
  ElfW(Addr) address;
  dl_find_object* found;
};

int look(dl_phdr_info* object, size_t, void* data) {
  const Search& search = *static_cast<Search*>(data);
  const ElfW(Phdr)* segments_end = object->dlpi_phdr + object->dlpi_phnum;
  bool inside = false;
  ElfW(Addr) first = ~ElfW(Addr)(0), last = 0, table = 0;
  for (const ElfW(Phdr)* segment = object->dlpi_phdr; segment < segments_end; ++segment) {
    const ElfW(Addr) begin = object->dlpi_addr + segment->p_vaddr, end = begin + segment->p_memsz;
    if (segment->p_type == PT_GNU_EH_FRAME) table = begin;
    if (segment->p_type != PT_LOAD) continue;
    if (begin < first) first = begin;
    if (end > last) last = end;
    inside = inside || (begin <= search.address && search.address < end);
  }
  if (!inside || table == 0) return inside;
  *search.found = {};
  search.found->dlfo_map_start = reinterpret_cast<void*>(first);
  search.found->dlfo_map_end = reinterpret_cast<void*>(last);
  search.found->dlfo_eh_frame = reinterpret_cast<void*>(table);
  return 2;
}

}  // namespace

extern "C" __attribute__((visibility("hidden"))) int _dl_find_object(void* address, dl_find_object* result) noexcept {
  Search search{reinterpret_cast<ElfW(Addr)>(address), result};
  return dl_iterate_phdr(look, &search) == 2 ? 0 : -1;
}

#endif
