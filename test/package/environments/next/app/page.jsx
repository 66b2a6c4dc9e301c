export default function Page() {
  return <p>nextpatch</p>;
}
